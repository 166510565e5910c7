"""Servers that break a rule of LL-HLS: changes to what `observed` saw of a faultless one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.boxes import Run
from conformance.observation import Exchange, Fetched, Observation, Probe, Version
from conformance.reading import read_media
from tests.support.observed import answers, every_track, playlist, swap, versions

DATERANGE = '#EXT-X-DATERANGE:ID="poll",START-DATE="2023-11-14T22:13:26.000Z",DURATION=4\n'
START = "#EXT-X-START:TIME-OFFSET=-8\n"
KEY = '#EXT-X-KEY:METHOD=AES-128,URI="key"\n'
SEQUENCE = "#EXT-X-MEDIA-SEQUENCE:"


def with_line(line: str) -> Any:
    """A line in front of the media sequence."""
    return swap(SEQUENCE, line + SEQUENCE)


def longer(found: Fetched) -> tuple[Run, ...]:
    return tuple(replace(run, duration_s=run.duration_s + 0.1) for run in found.runs)


def unsynced(found: Fetched) -> tuple[Run, ...]:
    return tuple(replace(run, first_sync=False, syncs=0) for run in found.runs)


def synced(found: Fetched) -> tuple[Run, ...]:
    return tuple(replace(run, syncs=1) for run in found.runs)


def fewer(found: Fetched) -> tuple[Run, ...]:
    return tuple(replace(run, samples=run.samples - 1) for run in found.runs)


def later(found: Fetched) -> tuple[Run, ...]:
    """Timestamps that jump at every second segment."""
    return tuple(replace(run, start_s=run.start_s + found.msn % 2) for run in found.runs)


def of_audio(work: Callable[[Fetched], tuple[Run, ...]]) -> Callable[[Fetched], tuple[Run, ...]]:
    return lambda found: work(found) if "audio" in found.uri else found.runs


def shifted(found: Fetched) -> tuple[Run, ...]:
    return tuple(replace(run, start_s=run.start_s + 0.5) for run in found.runs)


def nothing_between(begin: float, end: float) -> Callable[[Observation], Observation]:
    return versions(lambda one: None if begin < one.exchange.done_s < end else one)


def reversed_order(seen: Observation) -> Observation:
    return every_track(
        lambda t: replace(t, versions=(t.versions[20], t.versions[10], *t.versions[21:]))
    )(seen)


def after_the_end(seen: Observation) -> Observation:
    more = read_media(playlist("video", 50))
    return every_track(
        lambda t: replace(t, versions=(*t.versions, replace(t.versions[-1], playlist=more)))
    )(seen)


def held(seen: Observation) -> Observation:
    return answers("reload", status=200, head_s=99.0)(seen)


def later_by(seconds: float, answer: Exchange) -> Exchange:
    return replace(answer, asked_s=answer.asked_s + seconds, head_s=answer.head_s + seconds)


def expired_early(seen: Observation) -> Observation:
    def track(found: Any) -> Any:
        gone = [one for one in found.fetched if one.kind == "segment"][:3]
        again = [
            replace(one, exchange=replace(later_by(5, one.exchange), status=404)) for one in gone
        ]
        return replace(found, fetched=(*found.fetched, *again))

    return every_track(track)(seen)


def late_audio(version: Version) -> Version:
    if not version.exchange.url.endswith("video.m3u8"):
        return version
    answer = version.exchange
    return replace(version, exchange=replace(answer, done_s=answer.done_s + 2))


def fetched_again(seen: Observation) -> Observation:
    """The oldest segments are there while their max-age lasts."""

    def track(found: Any) -> Any:
        again = [
            replace(one, exchange=later_by(5, one.exchange))
            for one in found.fetched
            if one.kind == "segment"
        ]
        return replace(found, fetched=(*found.fetched, *again[:3]))

    return every_track(track)(seen)


def with_probe(name: str, parts: int, **more: Any) -> Callable[[Observation], Observation]:
    def track(found: Any) -> Any:
        text = playlist("video", parts, **more)
        probe = replace(found.probes[5], name=name, playlist=read_media(text))
        return replace(found, probes=(*found.probes, probe))

    return every_track(track)


def old_dates(seen: Observation) -> Observation:
    """A v2 update, long after the date range came, that still has it."""
    full = read_media(playlist("video", 38, skip="v2"))

    def one(probe: Probe) -> Probe:
        if probe.name != "skip v2":
            return probe
        return replace(probe, playlist=full, exchange=replace(probe.exchange, asked_s=40.0))

    return every_track(lambda t: replace(t, probes=tuple(one(p) for p in t.probes)))(seen)


def lines_gone(seen: Observation) -> Observation:
    def one(probe: Probe) -> Probe:
        kept = tuple(line for line in probe.lines if "PROGRAM-DATE-TIME" not in line)
        return replace(probe, lines=kept) if probe.name.startswith("skip ") else probe

    return every_track(lambda t: replace(t, probes=tuple(one(p) for p in t.probes)))(seen)


def no_delta(seen: Observation) -> Observation:
    return answers("skip YES", playlist=read_media(playlist("video", 38)))(seen)
