"""From a folder of images to a sample sheet and a config: what lies there, what it means, how to begin."""
