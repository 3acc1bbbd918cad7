"""The provider `command`: local and remote commands as resources."""
