"""Where a run's parameters, metrics, pictures and model go: MLflow, behind a protocol of a dozen methods."""
