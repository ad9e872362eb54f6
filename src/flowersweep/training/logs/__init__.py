"""What a run writes and shows: parameters, figures, model and notes in MLflow, TensorBoard files, the console."""
