"""Output of a run: parameters, figures, model and description in MLflow, TensorBoard files, and the console."""
