"""Functions bound to object events; each is thin and leaves media work to `coldpath.media`."""
