"""From images and labels to weights: preparation, patches, losses, the loop and its state."""
