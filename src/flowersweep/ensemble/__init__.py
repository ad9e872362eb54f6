"""One model out of several trials of a study: their mean probabilities, or their mean weights."""
