"""Segment objects in class probabilities, and write them as label files or polygons."""
