"""From probabilities to objects: segmentation, block by block, its parameters, label files, polygons."""
