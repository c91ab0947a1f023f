"""The Mercure protocol as functions and values. Pure."""
