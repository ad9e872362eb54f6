"""The Hydra plugin for flowersweep's sweeps: `hydra/sweeper: study`."""
