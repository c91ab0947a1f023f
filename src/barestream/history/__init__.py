"""The history of updates: its records, and the brokers that keep them."""
