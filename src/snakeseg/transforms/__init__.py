"""Transform arrays: labels, intensities, resampling, elastic deformation, flips, border weights."""
