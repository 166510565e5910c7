"""Encodes that a stream needs once: audio bridges and a WebRTC rendition, in child processes."""
