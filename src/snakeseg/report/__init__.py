"""The report of a run and the report about its data: pages, tables, figures and provenance."""
