"""Segmentation networks; `registry` lists all of them."""
