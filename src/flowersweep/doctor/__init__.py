"""The doctor: what is fine with an installation and a configuration, what is not, and how to fix it."""
