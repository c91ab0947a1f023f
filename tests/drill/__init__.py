"""The drill: clients that come and go, publishers, one fault after another, and a judge.

It is the proof that nothing is lost: ``python tests/drill`` runs it against the real containers.
"""
