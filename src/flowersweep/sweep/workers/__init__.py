"""Execution of trials: workers, their training processes, and the objective of a trial."""
