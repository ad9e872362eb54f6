"""The cache folder: how files are written there, what kinds there are, and how much space they take."""
