"""Use of a finished run's model: selection, registration, prediction, export, and evaluation on other pictures."""
