"""The history of updates: what a record is, and where records are kept."""
