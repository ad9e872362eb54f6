"""What keeps trials, training processes and workers apart: who may speak, what is restored, and who dies with whom."""
