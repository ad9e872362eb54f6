"""Python code of the user's own that a configuration names: whether it may be run, where it is, and its content."""
