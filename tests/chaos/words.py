"""Whether two transcripts say the same at the same time; pure.

Invariant: the words must be equal; times, in WebVTT and under the names of `_TIMES` in JSON, may
differ by so many milliseconds; other numbers (how sure the model was) by `_SURE`.

Upstream: `tests.chaos.proof`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from infra.keys import VodKey, WorkKey, parse

KINDS = frozenset({"captions", "transcript"})
"""Whose work a transcript is: the kind of a `WorkKey`, or how the name of a `VodKey` begins."""
_TIMES = {"start": 1000, "end": 1000, "from_ms": 1, "to_ms": 1}
"""Names of times in JSON, and how many milliseconds one is."""
_SURE = 0.05
_CUE = re.compile(r"((?:\d+:)?\d\d:\d\d\.\d{3}) --> ((?:\d+:)?\d\d:\d\d\.\d{3})(.*)")


def is_transcript(key: str) -> bool:
    found = parse(key)
    if isinstance(found, WorkKey):
        return found.kind in KINDS
    return isinstance(found, VodKey) and found.name.startswith(tuple(KINDS))


def told_apart(key: str, wanted: bytes, there: bytes, *, most_ms: int) -> Iterator[str]:
    """How the two differ by more than they may."""
    if key.endswith(".vtt"):
        yield from _lines(wanted.decode(), there.decode(), most_ms)
    elif key.endswith(".json"):
        yield from _values("", json.loads(wanted), json.loads(there), most_ms)
    elif wanted != there:
        yield "its text differs from the clean run's"


def _lines(wanted: str, there: str, most_ms: int) -> Iterator[str]:
    a, b = wanted.splitlines(), there.splitlines()
    if len(a) != len(b):
        yield f"it has {len(b)} lines, not {len(a)}"
        return
    for x, y in zip(a, b, strict=True):
        left, right = _CUE.fullmatch(x), _CUE.fullmatch(y)
        if left and right and left[3] == right[3]:
            for one, other in ((left[1], right[1]), (left[2], right[2])):
                if abs(_ms(one) - _ms(other)) > most_ms:
                    yield f"a cue is at {other}, not at {one}"
        elif x != y:
            yield f"it says {y!r}, not {x!r}"


def _values(name: str, wanted: Any, there: Any, most_ms: int) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(there, dict) and wanted.keys() == there.keys():
        for each in wanted:
            yield from _values(each, wanted[each], there[each], most_ms)
    elif isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for a, b in zip(wanted, there, strict=True):
            yield from _values(name, a, b, most_ms)
    elif _number(wanted) and _number(there):
        scale = _TIMES.get(name)
        most = _SURE if scale is None else most_ms / scale
        # Integers that are no times count something.
        if abs(wanted - there) > (0 if scale is None and isinstance(wanted, int) else most):
            yield f"{name} is {there}, not {wanted}"
    elif wanted != there:
        yield f"{name} is {there!r}, not {wanted!r}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ms(text: str) -> int:
    *hours, minutes, seconds = text.split(":")
    whole, thousandths = seconds.split(".")
    total_minutes = 60 * int(hours[0] if hours else 0) + int(minutes)
    return 1000 * (60 * total_minutes + int(whole)) + int(thousandths)
