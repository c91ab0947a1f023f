"""The bench: barestream and its peers on one machine, in one run, by one client.

``python tests/bench`` runs it; its README says what is counted, and how to read it.
"""
