"""Directories on the volume that the pods write to, made and removed through a minion."""
