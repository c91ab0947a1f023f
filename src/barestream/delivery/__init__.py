"""The delivery of updates from the history to each subscriber."""
