"""Read facts about input files, and find problems in them."""
