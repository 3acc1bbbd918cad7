"""Taking the farm's pods off a node before its mount goes: what the program runs when a minion is removed."""
