"""Writing and reading the parameters, metrics, figures and models of runs in MLflow."""
