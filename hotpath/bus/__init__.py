"""One writer, many cursors: what a programme publishes, for every reader at its own pace."""
