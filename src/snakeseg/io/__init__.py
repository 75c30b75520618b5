"""Readers and writers of files. No other package depends on file formats."""
