"""`livepath demo`: one event end to end through the public API, measured at both ends.

A picture with a barcode clock goes out over encrypted SRT, is watched over LL-HLS by a player that
keeps its hold-back, and is compared, frame by frame, with the archive that comes out.

    programme → encoder → (the stack under test) → player, verify → report
"""
