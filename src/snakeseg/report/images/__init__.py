"""Images of the report: views of planes and volumes, figures, galleries."""
