"""What an exact cut does with each group of pictures: copy it, encode a part of it again; pure.

Invariant: of the groups of a stream in decode order, the units that are copied and the pictures
that are encoded are together those with `lo <= pts < hi`, each once. A group is copied only as a
prefix in decode order: whatever a unit refers to comes before it, so a prefix decodes by itself.

Upstream: `cut` reads packets. Downstream: `cut` writes what is decided here.
Spec: ISO/IEC 14496-10 7.4.1.2.4 (an IDR picture ends all reference to what was before).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar


class Timed(Protocol):
    """An access unit, as far as its place in the stream goes."""

    @property
    def pts(self) -> int | None: ...

    @property
    def is_keyframe(self) -> bool: ...


U = TypeVar("U", bound=Timed)


class Way(Enum):
    NOTHING = "nothing"
    """No picture of the group is wanted."""
    COPY = "copy"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class Share:
    """What is taken of one group."""

    way: Way
    count: int
    """Copied: so many units from the first on; encoded: so many pictures."""


def groups(units: Iterable[U]) -> Iterator[list[U]]:
    """Groups in decode order, each from a keyframe to before the next; what comes before the first
    keyframe cannot be decoded and is left out."""
    group: list[U] = []
    for unit in units:
        if unit.is_keyframe:
            if group:
                yield group
            group = [unit]
        elif group:
            group.append(unit)
    if group:
        yield group


def share(times: Sequence[int], lo: int, hi: int) -> Share:
    """`times`: presentation times of one group in decode order."""
    wanted = sum(lo <= pts < hi for pts in times)
    if not wanted:
        return Share(Way.NOTHING, 0)
    if all(lo <= pts < hi for pts in times[:wanted]):
        return Share(Way.COPY, wanted)
    return Share(Way.ENCODE, wanted)


def is_open(times: Sequence[int]) -> bool:
    """Whether a picture of the group is shown before its keyframe: it refers to the group before,
    which a cut may have encoded again or left out."""
    return any(pts < times[0] for pts in times[1:])
