"""Read, check, write and export trained models."""
