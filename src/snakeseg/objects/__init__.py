"""Segment objects in class probabilities, block by block, and write them as label files or polygons."""
