"""Scores of segmentations: pure functions of a true and a predicted label image."""
