"""What a run takes from earlier runs: a trained head, the weights to start from, the answers of a teacher."""
