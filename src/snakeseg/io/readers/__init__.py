"""Read image files: one module per format, and checks of their headers."""
