"""Pictures of the report: views of images and volumes, figures, galleries."""
