"""What is known about a data set before anything is trained on it: sizes, classes, parts, duplicates, damaged files."""
