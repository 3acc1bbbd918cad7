"""The deployer's half of ContentSync: what differs, how it travels, and the proof that it arrived."""
