"""The lab's own Pulumi programs: a Python language host and the providers `command` and `kubernetes`.

They stand in where the official ones cannot be downloaded; see docs/plugins.md.
"""
