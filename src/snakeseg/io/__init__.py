"""Readers and writers: the only room that knows file formats."""
