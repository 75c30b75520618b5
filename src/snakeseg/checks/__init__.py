"""Read facts about images and label images, and detect problems in them before training."""
