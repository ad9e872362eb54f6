"""A sweep is a study: its search space, its budget, its workers and what became of each trial."""
