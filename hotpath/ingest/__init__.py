"""How publishers arrive: SRT, admission, demultiplexing, health."""
