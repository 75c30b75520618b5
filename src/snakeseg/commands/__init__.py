"""What each subcommand does: read, call the inner rooms, write. Only the module of the one that is run is imported."""
