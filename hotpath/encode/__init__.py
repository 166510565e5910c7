"""Encodes that happen once per stream, in child processes: sound AAC or Opus, picture H.264."""
