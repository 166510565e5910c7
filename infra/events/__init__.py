"""Desired state to the media nodes, facts back from them, over the bus."""
