"""What a run records, on its way to MLflow: delivered at once, or kept on disk until the store is back."""
