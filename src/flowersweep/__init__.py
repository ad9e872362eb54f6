"""flowersweep: hyperparameter sweeps of Keras image classifiers, driven by Hydra, Optuna and MLflow."""

__version__ = "0.1.0"
