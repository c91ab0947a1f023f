"""Viewers: streams held open, and events published to them, while the service is changed in a way
that none of them may notice.
"""
