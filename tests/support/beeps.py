"""Recordings that beep each second, and a stand-in for the model that hears beeps.

So every time can be checked.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coldpath.ledger import Ledger
from coldpath.media import speech
from coldpath.media.words import Word
from coldpath.records import JobResult
from infra.keys import ProgramKey, SegmentKey, parse
from tests.support.functions import CountingStore, attempt
from tests.support.session import Session, Track, encode, session

KEY = ProgramKey("p", "e")
BEEPS = "aevalsrc='0.5*sin(2*PI*440*t)*between(mod(t,1),0.3,0.5)':s=48000:d={}"
"""One each second, from 0.3 s to 0.5 s."""
NEAR_MS = 60
FIRST_MS = 1_700_000_000_000
FIRST = np.base_repr(FIRST_MS, 36).lower()
"""An incarnation's name: when it was opened."""


class Ear:
    """Hears beeps."""

    def __init__(self) -> None:
        self.windows: list[float] = []
        """Seconds that were heard."""
        self.language = "en"

    def hear(self, pcm: Any, language: str = "") -> speech.Heard:
        self.windows.append(len(pcm) / 16_000)
        loud = np.abs(pcm[: len(pcm) // 160 * 160]).reshape(-1, 160).max(axis=1) > 0.1
        edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
        words = [Word("beep", int(a) * 10, int(b) * 10) for a, b in edges.reshape(-1, 2)]
        return speech.Heard(tuple(words), language or self.language)


class Job:
    """Runs attempts."""

    def __init__(self, ledger: Ledger, store: CountingStore, folder: Path) -> None:
        self._where = ledger, store
        self._folder = folder

    def live(self, msn: int, incarnation: str = FIRST, **named: bool) -> JobResult:
        key = SegmentKey(KEY, incarnation, "audio", msn)
        return attempt("captions-live", *self._where, str(key), self._folder, **named)

    def end(self, whole: Session, **named: bool) -> JobResult:
        return attempt("captions", *self._where, whole.manifest_key, self._folder, **named)


def beeps(seconds: float) -> tuple[Track, Track]:
    return encode(seconds, size="160x90", sound=BEEPS.format(seconds))


def recorded(seconds: float = 16.0, incarnation: str = FIRST, **named: Any) -> Session:
    return session(KEY, incarnation, *beeps(seconds), **named)


def long(**named: Any) -> Session:
    """40 s: five windows."""
    tracks = encode(40.0, size="160x90", fps=5, gop=10, sound=BEEPS.format(40.0))
    return session(KEY, FIRST, *tracks, **named)


def arrive(store: CountingStore, whole: Session, until: int = 99) -> None:
    """What is in the bucket when that segment is."""
    for key, data in whole.objects.items():
        segment = parse(key)
        if not isinstance(segment, SegmentKey) or segment.msn <= until:
            store.put(key, data, "video/mp4")


def times(store: CountingStore, result: JobResult) -> list[int]:
    (key,) = (asset.key for asset in result.assets if asset.kind == "words")
    return [word["from_ms"] for word in json.loads(store.get(key))["words"]]


def assert_near(found: list[int], wanted: list[int]) -> None:
    assert len(found) == len(wanted), found
    assert all(abs(a - b) <= NEAR_MS for a, b in zip(found, wanted, strict=True)), found


def each_second(start_ms: int, seconds: int) -> list[int]:
    return [start_ms + n * 1_000 + 300 for n in range(seconds)]


def changing(whole: Session, msn: int) -> Session:
    """With init sections of their own from that segment on."""
    objects = dict(whole.objects)
    for key in list(whole.objects):
        if key.endswith("/init-0.mp4"):
            objects[key.replace("init-0", "init-1")] = objects[key]
    renditions = tuple(
        rendition.model_copy(
            update={
                "inits": 2,
                "segments": tuple(
                    each.model_copy(update={"init": int(each.msn >= msn)})
                    for each in rendition.segments
                ),
            }
        )
        for rendition in whole.manifest.renditions
    )
    manifest = whole.manifest.model_copy(update={"renditions": renditions})
    return replace(whole, manifest=manifest, objects=objects)


def replace_segments(one: Any, other: Any) -> Any:
    return one.model_copy(update={"segments": (*one.segments, *other.segments)})
