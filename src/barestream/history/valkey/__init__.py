"""The history in Valkey."""
