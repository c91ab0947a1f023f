"""The clients of the tests: browsers, readers of streams, publishers."""
