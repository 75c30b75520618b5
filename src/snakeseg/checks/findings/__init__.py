"""Findings about the data of a run: affected samples, observation, consequence and remedy."""
