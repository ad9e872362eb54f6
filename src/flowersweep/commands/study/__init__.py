"""Commands about studies that may be running; they read Optuna's storage, not MLflow."""
