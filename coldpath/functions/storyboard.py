"""Storyboard: what a scrub bar shows, small pictures on few sheets and a WebVTT that finds them.

Runs when a programme is over. A sheet that is stored is not drawn again, so an attempt goes on
where an earlier one ended. The WebVTT comes last: whoever sees it finds the sheets.
"""

from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING

from coldpath.context import JobContext
from coldpath.errors import DamagedMedia
from coldpath.functions.recorded import ATTEMPTS, Recorded, recorded
from coldpath.functions.registry import registry
from coldpath.media.shots import Shot, length_ms, shots, step_ms
from coldpath.records import JobResult, NewAsset
from infra.keys import ManifestKey

if TYPE_CHECKING:
    from coldpath.media.sprite import Storyboard

VTT = "storyboard.vtt"
CELL_SIDE = 160
"""The longer side of a small picture."""
_CELL_LINES = 90
"""Renditions of fewer lines are not taken, though they decode faster."""


@registry.function("storyboard", on=ManifestKey, queue="fast", max_attempts=ATTEMPTS, memory_mb=384)
def storyboard(context: JobContext) -> JobResult:
    """Makes the pictures of the scrub bar of the programme that the job's manifest ends."""
    found = recorded(context)
    if isinstance(found, JobResult):
        return found
    length = length_ms(found.whole)
    chosen = shots(found.whole, lines=_CELL_LINES, step=step_ms(length))
    if not chosen:
        return JobResult({"skipped": "no picture was recorded"})
    board = _layout(found, chosen, length)
    for sheet in range(board.sheets):
        _sheet(context, found, board, sheet)
    asset = _webvtt(context, found, board)
    return JobResult({"content": found.content, "keys": [asset.key]}, [asset])


def _layout(found: Recorded, chosen: list[Shot], length: int) -> "Storyboard":
    # numpy takes a moment to import; the dispatcher only needs to know what is bound to what.
    from coldpath.media import sprite
    from coldpath.media.keyframes import fitted

    source = found.whole.first("video")
    wide, high = (source.width, source.height) if source and source.height else (16, 9)
    # A size that is not known has at least a shape.
    scale = max(Fraction(1), Fraction(CELL_SIDE, max(wide, high)))
    width, height = fitted(wide * scale, high * scale, CELL_SIDE)
    return sprite.storyboard(chosen, width=width, height=height, length_ms=length)


def _sheet(context: JobContext, found: Recorded, board: "Storyboard", sheet: int) -> None:
    from coldpath.media import sprite
    from coldpath.media.keyframes import pictures

    key = found.key(sprite.sheet_name(sheet))
    if context.store.head(key) is not None:
        return
    cells = board.on(sheet)
    drawn = {}
    shots_of = [cell.shot for cell in cells]
    with closing(pictures(context.store, shots_of, CELL_SIDE)) as decoding:
        for shot, picture in decoding:
            context.check()
            if picture is not None:
                drawn[shot.at_ms] = picture
    if not drawn and not sheet:
        raise DamagedMedia(f"none of the first {len(cells)} key pictures decodes")
    context.put(key, sprite.draw(board, sheet, drawn), "image/jpeg")
    context.progress(sheet + 1, board.sheets)
    context.checkpoint({"sheets": sheet + 1})


def _webvtt(context: JobContext, found: Recorded, board: "Storyboard") -> NewAsset:
    from coldpath.media import sprite

    key = found.key(VTT)
    stored = context.put(key, sprite.webvtt(board).encode(), "text/vtt")
    return NewAsset(
        kind="storyboard",
        key=key,
        content_type="text/vtt",
        bytes=stored.bytes,
        duration_ms=board.cells[-1].to_ms,
        detail={
            "sheets": [sprite.sheet_name(n) for n in range(board.sheets)],
            "cells": len(board.cells),
            "width": board.width,
            "height": board.height,
        },
    )
