"""The words that are the hub's own: types of its events, and the id of the beginning. Pure."""

# The type of the events of subscriptions in Mercure 1.0, which no publisher gives an update either.
MERCURE_TYPE = "mercure"

# No publisher gives an update a type that starts so.
OWN_TYPES = "barestream."

# The last update of a topic that the hub ends itself, or whose run has ended.
END_TYPE = "barestream.end"

# Updates are gone.
GAP_TYPE = "barestream.gap"

# A rewind is over.
READY_TYPE = "barestream.ready"

# They ask the process of a run to stop it, and tell it that the run has followers.
STOP_TYPE = "barestream.stop"
FOLLOWED_TYPE = "barestream.followed"

# The specification's word for the start of the history.
EARLIEST = "earliest"
