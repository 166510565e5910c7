"""The composition root of the media node, in data-flow order."""
