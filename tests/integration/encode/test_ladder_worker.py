"""What a ladder's child does when it cannot keep up: real codecs, a queue that is always old."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hotpath.encode import ladder_admission
from hotpath.encode.child import Outlet
from hotpath.encode.inbox import Waited
from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_records import (
    Admitted,
    Encoded,
    Fed,
    LadderMessage,
    LadderReader,
    LeftOut,
    pack,
)
from hotpath.encode.ladder_steps import Cue
from hotpath.encode.ladder_worker import LadderWorker
from hotpath.encode.records import Counts
from hotpath.media.unit import VIDEO
from infra.renditions import LadderRung
from tests.support.coded import coded

pytestmark = pytest.mark.integration

RUNGS = (LadderRung("120p", 120, 300_000), LadderRung("90p", 90, 200_000))
PART = 6


class OldQueue:
    """Gives every unit as if it had waited for `age_ns`."""

    empty = False

    def __init__(self, fed: Sequence[Fed], age_ns: int) -> None:
        self._fed: Iterator[Fed] = iter(fed)
        self._age_ns = age_ns

    def take(self) -> Waited[Fed] | None:
        fed = next(self._fed, None)
        return None if fed is None else Waited(fed, time.monotonic_ns() - self._age_ns, 0)


def said(folder: Path, age_ns: int) -> list[LadderMessage]:
    source = coded("h264", None, 6, 30)
    fed = [
        Fed(unit, Cue(unit.pts, key=n % 60 == 0) if n % PART == 0 else None)
        for n, unit in enumerate(source.track(VIDEO))
    ]
    path = folder / "said"
    with path.open("wb", buffering=0) as out:
        worker = LadderWorker(
            LadderJob(source.format(VIDEO), RUNGS, 64), Outlet(out.fileno(), pack)
        )
        worker.run(OldQueue(fed, age_ns))  # type: ignore[arg-type]
    return LadderReader().receive(path.read_bytes(), 0)


def shown(messages: Sequence[LadderMessage], rung: str) -> list[int]:
    return [m.unit.pts for m in messages if isinstance(m, Encoded) and m.rung == rung]


def test_in_time_every_picture_of_every_rung_is_made(tmp_path: Path) -> None:
    messages = said(tmp_path, 0)
    assert shown(messages, "120p") == shown(messages, "90p") == [n * 3000 for n in range(180)]
    assert [m for m in messages if isinstance(m, Admitted)] == [
        Admitted(("120p", "90p"), pytest.approx(0.1, abs=0.1), "")
    ]


def test_too_late_only_the_beginnings_of_parts_are_made_and_rungs_end_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overload = iter(n == 100 for n in range(180))
    monkeypatch.setattr(ladder_admission.Overload, "receive", lambda *_: next(overload))
    messages = said(tmp_path, 2_000_000_000)
    begins = {n * 3000 for n in range(0, 180, PART)}
    assert begins <= set(shown(messages, "90p"))
    assert len(shown(messages, "90p")) < 90
    assert set(shown(messages, "120p")) < set(shown(messages, "90p"))
    left_out = {m.pts for m in messages if isinstance(m, LeftOut)}
    assert left_out == {n * 3000 for n in range(180)} - set(shown(messages, "90p"))
    (first, second) = [m for m in messages if isinstance(m, Admitted)]
    assert first.words == ""
    assert second.rungs == ("90p",)
    assert second.words.startswith("120p stopped: this machine did not keep up")
    counts = [m for m in messages if isinstance(m, Counts)][-1].totals
    assert counts["late"] == len(left_out)
