"""A trained model on disk: its description, weights, check and exports."""
