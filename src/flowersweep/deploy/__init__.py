"""Use a finished run's model: choose it, register it, predict with it, export it, evaluate it on other pictures."""
