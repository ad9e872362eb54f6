"""The statistics of the report: ranking, comparisons over seeds, importances, and the published results."""
