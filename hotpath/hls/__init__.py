"""LL-HLS: marked units become parts and segments, for viewers and for the spool."""
