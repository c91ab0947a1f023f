"""The doctor before the app, on each path that a stream may have to take."""
