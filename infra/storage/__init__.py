"""The object store behind one small interface."""
