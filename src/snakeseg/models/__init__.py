"""Trained models on disk: description, weights, golden check, compatibility, export."""
