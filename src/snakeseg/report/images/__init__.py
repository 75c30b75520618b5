"""Images of the reports: views of planes and volumes, figures, and the pictures of the viewer."""
