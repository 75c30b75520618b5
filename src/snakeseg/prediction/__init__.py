"""From a model and an image to probabilities: tiles, their plan, and the network over them."""
