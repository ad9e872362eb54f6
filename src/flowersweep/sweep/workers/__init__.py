"""What runs trials: workers, their training processes, and the objective of a trial."""
