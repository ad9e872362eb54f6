"""The figures and tables of one run, created while it is logged and by the commands that use its model."""
