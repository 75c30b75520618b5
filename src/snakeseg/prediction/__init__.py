"""Prediction of class probabilities: tiles, tile plans, the overlap-tile strategy, blending."""
