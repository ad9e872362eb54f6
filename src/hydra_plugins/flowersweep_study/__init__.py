"""Hydra's door to flowersweep's sweeps: `hydra/sweeper: study`."""
