"""The report: pictures, figures, page, provenance."""
