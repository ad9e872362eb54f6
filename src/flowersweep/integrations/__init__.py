"""Callbacks for training loops of other packages, one module per package, which imports that package."""
