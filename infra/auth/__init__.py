"""API keys, stream keys and viewer tokens."""
