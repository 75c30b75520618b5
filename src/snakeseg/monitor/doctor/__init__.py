"""Whether a machine, a folder and a profile can make a run: small checks, each with a verdict and a remedy."""
