"""The state of a study: its definition, its trials and what became of them, and which trial comes next."""
