"""The lab's own Python language host: runs a project's `__main__.py` for the engine."""
