"""What in the data deserves a look before any training: which row, what was found, what it means, what to do."""
