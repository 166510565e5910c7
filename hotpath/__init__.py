"""The media plane: SRT in, one programme per feed, LL-HLS out, finished segments to the spool."""
