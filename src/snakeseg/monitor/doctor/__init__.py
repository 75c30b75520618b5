"""Check whether a machine, a folder and a profile can run the workflow: each check has a verdict and a remedy."""
