"""Which configurations of a study are better than others: one ranking for the terminal, MLflow and the report."""
