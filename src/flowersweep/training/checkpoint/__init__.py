"""Checkpoints: the state of a run after an epoch, with which it goes on after an interruption as if there had been none."""
