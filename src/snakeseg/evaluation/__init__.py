"""Scores of predictions, their summary, and comparisons of experiments."""
