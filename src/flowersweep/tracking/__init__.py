"""Where a run's parameters, metrics, pictures and model go, and where they are read again: MLflow."""
