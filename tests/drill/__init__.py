"""The drill: clients that connect and leave, publishers, one fault after another, and a judge.

It is the proof that nothing is lost: ``python tests/drill`` runs it against the real containers.
"""
