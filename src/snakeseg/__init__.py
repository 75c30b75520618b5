"""SnakeSeg: from a folder of microscopy images or volumes to trained, evaluated segmentation."""

__version__ = "0.1.0"
