"""The figures and tables of one run, drawn while it is logged and by the commands that use its model."""
