"""The commands beside training and sweeps, one module each; what they do lies in the other packages."""
