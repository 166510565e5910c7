"""One continuous programme per feed: timeline, boundaries, states, checkpoint."""
