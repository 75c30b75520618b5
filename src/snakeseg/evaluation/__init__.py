"""Score predictions, summarise the scores, and compare experiments."""
