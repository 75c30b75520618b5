"""Train networks: preparation, patches, losses, optimiser, the training loop and its state."""
