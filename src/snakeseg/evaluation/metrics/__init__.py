"""Scores of segmentations: pure functions of two label images, with known answers."""
