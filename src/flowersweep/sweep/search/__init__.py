"""What a search tries next and which trials end early: samplers and pruners."""
