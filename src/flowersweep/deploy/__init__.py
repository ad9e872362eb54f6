"""Use a finished run's model: choose it, register it, predict with it, export it, judge it on other pictures."""
