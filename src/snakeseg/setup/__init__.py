"""Propose a sample sheet and a config for a folder of images and labels (`snakeseg init`)."""
