"""The servers that the bench compares: ours, its peers, and the least that one can do in C.

Each sends what is published, as it is, in one data line to every open stream of the topic. What is
around it differs: nchan's streams are not in chunks, better-sse writes no space after the colon,
Centrifugo puts the data into JSON, and sse-starlette and the floor give an event no id.
"""

from bench.servers.ours import Ours
from bench.servers.peers import KEYS, Make, Peers
from bench.servers.server import Address, Server
from bench.servers.tree import HERE, Tree

__all__ = ["HERE", "KEYS", "Address", "Make", "Ours", "Peers", "Server", "Tree"]
