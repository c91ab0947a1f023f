"""Traces of OpenTelemetry. Only barestream.tracing imports this package, where traces are on."""
