"""A ladder beside a source, as bus items: the source's own pictures under the rungs' names.

What carries a ladder neither decodes nor compares pictures, so these need no encoder.
"""

from collections.abc import Iterable
from dataclasses import replace

from hotpath.media.unit import VIDEO, Format, FormatChange, Item, PartCut, Sample, SegmentCut
from infra.renditions import RUNGS


def rung_format(source: Format, name: str) -> Format:
    height = RUNGS[name].height
    return replace(source, track=name, width=height * 16 // 9, height=height)


def rung_item(item: Item, name: str) -> Item | None:
    """The rung's counterpart of an item of the source's video; None for any other."""
    match item:
        case FormatChange(format=format) if format.track == VIDEO:
            return replace(item, format=rung_format(format, name))
        case Sample(unit=unit) if unit.track == VIDEO:
            return replace(item, unit=replace(unit, track=name))
        case PartCut(track=track) | SegmentCut(track=track) if track == VIDEO:
            return replace(item, track=name)
    return None


def rung_items(items: Iterable[Item], name: str) -> list[Item]:
    """All that one rung publishes for the source's items."""
    found = (rung_item(item, name) for item in items)
    return [item for item in found if item is not None]


def with_rungs(items: Iterable[Item], *names: str) -> list[Item]:
    """The source's items, each followed at once by its counterparts."""
    whole: list[Item] = []
    for item in items:
        made = (rung_item(item, name) for name in names)
        whole += [item, *(one for one in made if one is not None)]
    return whole
