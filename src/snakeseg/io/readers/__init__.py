"""One file per image format, and what guards them."""
