"""The doctor: checks of an installation and a configuration, and how to fix what is wrong."""
