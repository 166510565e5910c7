"""The control plane: an HTTP API over the database, and the two streams to and from media nodes.

    routes → service → database → publisher → bus → media nodes
                          ▲
                  facts ──┘ ← bus ← media nodes

Control is never called on the media path: what it wants reaches the nodes through the bus, and
with control down they go on from the last state they know.
"""
