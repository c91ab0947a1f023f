"""The way of an update from the history to each subscriber."""
