"""The state of a study: its definition, its trials and their outcomes, and which trial comes next."""
