"""An audience: streams held open, and events published to them, while something is done to the
service that nobody of them may notice.
"""
