"""Finds out what holds the events of a stream back, or cuts them: `barestream doctor`."""
