"""What a sweep searches: from Hydra's override grammar to dimensions, points and the overrides of a trial."""
