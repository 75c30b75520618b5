"""Arrays in, arrays out: labels, intensities, deformation, weights; no files and no torch."""
