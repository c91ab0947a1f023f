"""The judges of the tests: of events, ticks and logs."""
