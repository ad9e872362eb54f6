"""The run of a study in MLflow: its row in the table of runs, its files and figures, and the best trial so far."""
