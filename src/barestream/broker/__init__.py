"""The log of published updates: its interface, and two homes for it."""
