"""What input files hold, and what in them deserves a look."""
