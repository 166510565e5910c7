"""Every rule is kept by a faultless server, and broken by one that does what the rule forbids."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from conformance.boxes import Run
from conformance.observation import Exchange, Fetched, Observation, Probe, Version
from conformance.reading import read_media
from conformance.rule import Outcome, judge
from conformance.rules import RULES
from tests.support.observed import (
    GAP,
    SEGMENTS,
    answers,
    every_track,
    files,
    media_headers,
    observed,
    playlist,
    swap,
    versions,
    whole,
    without_header,
)

BY_ID = {rule.id: rule for rule in RULES}
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


EXTINF, PART = "#EXTINF:2.000,", "#EXT-X-PART:DURATION=0.5,"
CONTROL_END = ",CAN-SKIP-DATERANGES=YES"
RESTART = swap('"video-init1.mp4"\n', '"video-init1.mp4"\n')

BROKEN: dict[str, dict[str, Any]] = {
    "4.1": {"edit": with_line("#\x00\n")},
    "4.2": {"edit": swap("PART-TARGET=0.5", "PART-TARGET=0.5,,X")},
    "4.4.1.1": {"edit": swap("#EXTM3U\n", "\n#EXTM3U\n")},
    "4.4.1.2": {"edit": with_line("#EXT-X-VERSION:10\n")},
    "4.4.2": {"edit": with_line(START + START)},
    "4.4.1.2-enough": {"edit": swap("VERSION:10", "VERSION:5")},
    "6.2.1-version": {"edit": swap("VERSION:10", "VERSION:11")},
    "4.4.2.1": {
        "index": lambda text: text + "#EXT-X-INDEPENDENT-SEGMENTS\n",
        "change": files("segment", runs=unsynced),
    },
    "4.4.2.2": {"edit": with_line("#EXT-X-START:PRECISE=YES\n")},
    "4.4.2.2-live": {
        "edit": with_line("#EXT-X-START:TIME-OFFSET=-2\n"),
        "change": versions(lambda one: None if one.playlist.ended else one),
    },
    "4.4.3": {"edit": with_line("#EXT-X-TARGETDURATION:2\n")},
    "4.4.3.1": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:two")},
    "4.4.3.2": {"edit": swap("#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ENDLIST")},
    "4.4.3.3": {"edit": swap("#EXT-X-DISCONTINUITY-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:x")},
    "4.4.3.7": {"edit": swap("#EXT-X-PART-INF:PART-TARGET=0.5\n", "")},
    "4.4.3.1-extinf": {"edit": swap(EXTINF, "#EXTINF:2.500,")},
    "4.4.3.4": {"change": after_the_end},
    "4.4.3.8-skip": {"edit": swap("CAN-SKIP-UNTIL=12", "CAN-SKIP-UNTIL=11.9")},
    "4.4.3.8-skip-dateranges": {"edit": swap("CAN-SKIP-UNTIL=12,", "")},
    "4.4.3.8-hold-back": {"edit": swap(",HOLD-BACK=6,", ",HOLD-BACK=5,")},
    "4.4.3.8-part-hold-back": {"edit": swap("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=0.9")},
    "4.4.3.8-part-hold-back-3": {"edit": swap("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.2")},
    "4.4.3.8-yes": {"edit": swap("CAN-BLOCK-RELOAD=YES", "CAN-BLOCK-RELOAD=TRUE")},
    "4.4.4": {"edit": with_line("#EXT-X-STREAM-INF:BANDWIDTH=1\n")},
    "4.4.4.1": {"edit": swap(EXTINF, "#EXTINF:two,")},
    "4.4.4.4": {"edit": with_line("#EXT-X-KEY:METHOD=AES-128\n")},
    "4.4.4.5": {"edit": swap("#EXT-X-MAP:URI=", "#EXT-X-MAP:URL=")},
    "4.4.4.6": {"edit": swap("DATE-TIME:2023", "DATE-TIME:MMXXIII")},
    "4.4.4.6-zone": {"edit": swap("Z\n", "\n")},
    "4.4.4.9": {"edit": swap(PART, "#EXT-X-PART:")},
    "4.4.4.5-map": {"edit": swap("#EXT-X-MAP:", "#EXT-X-MAPS:")},
    "4.4.4.9-longest": {"edit": swap(PART, "#EXT-X-PART:DURATION=0.501,")},
    "4.4.4.9-shortest": {"edit": swap('0.5,URI="video-5.1', '0.42,URI="video-5.1')},
    "4.4.4.9-sum": {"edit": swap(EXTINF, "#EXTINF:1.900,")},
    "4.4.4.9-bytes": {"change": files("part", runs=longer)},
    "4.4.4.9-independent": {"change": files("part", runs=unsynced)},
    "4.4.4.9-independent-all": {"change": files("hint", runs=synced)},
    "3.2": {"change": files("segment", runs=fewer)},
    "4.4.4.1-exact": {"change": files("segment", runs=longer)},
    "4.4.4.3-time": {"change": files("segment", runs=later)},
    "4.4.4.3-tracks": {"edit": swap("#EXT-X-DISCONTINUITY\n", "")},
    "4.4.4-readable": {"change": files("part", unreadable="a box is cut off", runs=())},
    "4.4.5.2": {"edit": with_line("#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n" * 2)},
    "4.4.5.3": {"edit": swap("HINT:TYPE=PART,", "HINT:")},
    "4.4.5.1": {"edit": swap("DURATION=4\n", 'END-DATE="2020-01-01T00:00:00.000Z"\n')},
    "4.4.5.1-same": {"edit": swap("DURATION=4\n", "DURATION=5\n", only="audio")},
    "4.4.5.1-date-time": {"edit": swap("#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATE")},
    "4.4.5.3-ended": {
        "edit": swap("#EXT-X-ENDLIST", '#EXT-X-ENDLIST\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="x"')
    },
    "4.4.5.3-uri": {"edit": swap('TYPE=PART,URI="', 'TYPE=PART,URI="x')},
    "4.4.5.4": {"edit": swap("REPORT:URI=", "REPORT:URL=")},
    "4.4.5.4-current": {"edit": swap("LAST-MSN=7,", "LAST-MSN=5,")},
    "4.4.6.2": {"index": lambda text: text.replace("\nvideo.m3u8", "")},
    "4.4.6.1": {"index": lambda text: text.replace(',NAME="main"', "")},
    "4.4.6.1-channels": {"index": lambda text: text.replace(',CHANNELS="2"', "")},
    "4.4.6.2-bandwidth": {
        "index": lambda text: text.replace("AVERAGE-BANDWIDTH=1", "AVERAGE-BANDWIDTH=3")
    },
    "4.4.6.2-codecs": {"index": lambda text: text.replace("CODECS=", "X-CODECS=")},
    "4.4.6.2-groups": {"index": lambda text: text.replace('AUDIO="a"', 'AUDIO="b"')},
    "4.4.6.2-peak": {"change": files("segment", size=1_000_000)},
    "4.4.6.2-frame-rate": {"index": lambda text: text.replace(",FRAME-RATE=60.000", "")},
    "6.2.1-segment-available": {"change": files("segment", status=404)},
    "6.2.1-part-available": {"change": files("part", head_s=99.0)},
    "6.2.1-init-available": {"change": files("init", status=404)},
    "6.2.1-full-speed": {"change": files("segment", done_s=lambda one: one.exchange.done_s + 2)},
    "6.2.1-keyframes": {"change": files("segment", runs=unsynced)},
    "6.2.1-gzip": {"change": versions(without_header("content-encoding"))},
    "6.2.1-changes": {"edit": swap("video-4.m4s", "video-4b.m4s", since=24)},
    "6.2.1-order": {"change": reversed_order},
    "6.2.1-new-segment": {"change": nothing_between(9.6, 13.4)},
    "6.2.1-new-part": {"change": nothing_between(9.6, 10.9)},
    "6.2.1-dated-discontinuity": {
        "edit": swap('init1.mp4"\n#EXT-X-PROGRAM-DATE-TIME', 'init1.mp4"\n#EXT-X-DATE')
    },
    "6.2.1-dates": {"edit": swap("22:13:32.000Z", "22:13:30.500Z")},
    "6.2.1-daterange-stays": {"edit": swap(DATERANGE, "", since=20)},
    "6.2.1-daterange-id": {"edit": swap('22:13:26.000Z",DUR', '22:13:27.000Z",DUR', since=20)},
    "6.2.1-gap": {"change": files("part", status=404)},
    "6.2.2-sequence": {"edit": swap("#EXT-X-MEDIA-SEQUENCE:3", "#EXT-X-MEDIA-SEQUENCE:1")},
    "6.2.2-three-targets": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:6")},
    "6.2.2-length": {
        "edit": swap("TARGETDURATION:2", "TARGETDURATION:6"),
        "change": versions(lambda one: None if one.playlist.ended else one),
    },
    "6.2.2-old-parts": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:1")},
    "6.2.2-removed-part": {"change": files("removed part", status=404)},
    "6.2.2-removed-segment": {"change": files("kept segment", status=404)},
    "6.2.2-order": {
        "edit": swap('#EXT-X-PART:DURATION=0.5,URI="video-6', '#EXT-X-NO:URI="video-6')
    },
    "6.2.2-discontinuity": {
        "edit": swap("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1", since=30)
    },
    "6.2.2-discontinuity-sequence": {
        "edit": swap("#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SEQUENCE")
    },
    "6.2.2-expires": {"change": files("segment", headers=())},
    "6.2.2-expires-true": {"change": expired_early},
    "6.2.2-type": {"edit": with_line("#EXT-X-PLAYLIST-TYPE:EVENT\n")},
    "6.2.2-contiguous": {"edit": swap("\nvideo-7.m4s", "\nvideo-6.m4s")},
    "6.2.4-target": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:3", only="audio")},
    "6.2.4-server-control": {"edit": swap("HOLD-BACK=6", "HOLD-BACK=7", only="audio")},
    "6.2.4-type": {"edit": swap(SEQUENCE, "#EXT-X-PLAYLIST-TYPE:EVENT\n" + SEQUENCE, only="audio")},
    "6.2.4-codecs": {"index": lambda text: text.replace(",mp4a.40.2", "")},
    "6.2.4-dates": {"change": files("segment", runs=of_audio(shifted))},
    "6.2.4-dated": {"edit": swap("#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATE", only="audio")},
    "6.2.4-discontinuity": {
        "edit": swap("DISCONTINUITY-SEQUENCE:", "DISCONTINUITY-SEQUENCE:5", only="audio")
    },
    "6.2.4-content": {
        "change": lambda seen: replace(
            seen,
            tracks=(seen.tracks[0], replace(seen.tracks[1], versions=seen.tracks[1].versions[:40])),
        )
    },
    "6.2.4-dateranges": {
        "edit": swap("DURATION=4", "DURATION=5", only="audio"),
        "change": versions(lambda one: one if one.exchange.done_s < 15 else None),
    },
    "6.2.3": {"edit": with_line("#EXT-X-KEY:METHOD=AES-128\n")},
    "6.2.5.1": {"change": no_delta},
    "6.2.5.1-boundary": {"edit": swap("CAN-SKIP-UNTIL=12", "CAN-SKIP-UNTIL=14")},
    "6.2.5.1-rest": {"change": lines_gone},
    "6.2.5.1-removed": {"edit": swap(',RECENTLY-REMOVED-DATERANGES=""', "")},
    "6.2.5.1-old-dateranges": {"change": old_dates},
    "6.2.5.1-ended": {"change": with_probe("ended skip", 48, skip="YES")},
    "6.2.5.2-segment": {"change": answers("msn", wanted=(9, None))},
    "6.2.5.2-part": {"change": answers("msn and part", wanted=(9, 3))},
    "6.2.5.2-next-segment": {"change": answers("part beyond segment", wanted=(5, 5))},
    "6.2.5.2-old": {"change": answers("gone msn", status=400, playlist=None)},
    "6.2.5.2-ended": {"change": answers("ended msn", status=400)},
    "6.2.5.2-far": {"change": answers("msn too far", head_s=26.0)},
    "6.2.5.2-part-alone": {"change": answers("part alone", status=200)},
    "6.2.5-malformed": {"change": answers("malformed", status=500)},
    "6.2.5.2-too-long": {"change": held},
    "6.2.6-available": {"change": files("hint", status=404)},
    "6.2.6-whole": {"change": files("hint", done_s=lambda one: one.exchange.done_s + 0.4)},
    "6.2.6-unknown": {"change": answers("unknown name", status=500)},
    "6.2.6-lost": {"change": files("hint", status=lambda one: 500)},
    "6.2.6-one": {
        "edit": swap("#EXT-X-PRELOAD", '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="x"\n#EXT-X-PRELOAD')
    },
    "B.1-reports": {"edit": swap("#EXT-X-RENDITION-REPORT", "#EXT-X-REPORT")},
    "B.1-parts": {"edit": swap("#EXT-X-PART:", "#EXT-X-NO:", only="audio")},
    "B.1-dates": {"edit": swap("#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATE", only="audio")},
    "B.1-block": {"edit": swap("CAN-BLOCK-RELOAD=YES,", "")},
    "B.1-hint": {"edit": swap("#EXT-X-PRELOAD-HINT", "#EXT-X-NO-HINT")},
    "B.1-independent": {"change": files("segment", runs=unsynced)},
    "B.1-sync": {"change": versions(late_audio)},
    "B.1-h2": {"change": lambda seen: replace(seen, protocol="http/1.1")},
    "B.1-gzip": {"change": versions(without_header("content-encoding"))},
    "B.1-cache": {"change": versions(without_header("cache-control"))},
    "HTTP-cors": {"change": versions(without_header("access-control-allow-origin"))},
    "HTTP-head": {
        "change": lambda seen: replace(seen, requests=(replace(seen.requests[0], size=9),))
    },
    "HTTP-type": {"change": files("part", headers=media_headers("text/plain"))},
}
"""Rule -> what a server does that breaks it."""

KEPT: dict[str, dict[str, Any]] = {
    "4.4.2.1": {"index": lambda text: text + "#EXT-X-INDEPENDENT-SEGMENTS\n"},
    "4.4.2.2": {"edit": with_line(START)},
    "4.4.2.2-live": {
        "edit": with_line(START),
        "change": versions(lambda one: None if one.playlist.ended else one),
    },
    "4.4.4.4": {"edit": with_line(KEY)},
    "4.4.5.2": {"edit": with_line("#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n")},
    "6.2.2-length": {"change": versions(lambda one: None if one.playlist.ended else one)},
    "6.2.2-expires-true": {"change": fetched_again},
    "6.2.3": {"edit": with_line(KEY)},
    "6.2.4-dateranges": {"change": versions(lambda one: one if one.exchange.done_s < 15 else None)},
}
"""What the faultless server does besides, to bring up the rule."""


def test_each_rule_has_a_case_that_breaks_it() -> None:
    assert set(BROKEN) == set(BY_ID)


@pytest.mark.parametrize("id", list(BY_ID))
def test_a_faultless_server_keeps(id: str) -> None:
    verdict = judge(BY_ID[id], observed(**KEPT.get(id, {})))
    assert verdict.outcome is Outcome.OK, verdict.evidence
    assert verdict.evidence


@pytest.mark.parametrize("id", list(BY_ID))
def test_is_broken(id: str) -> None:
    verdict = judge(BY_ID[id], observed(**BROKEN[id]))
    assert verdict.outcome is Outcome.BROKEN, verdict.evidence
    assert verdict.evidence
    assert 0 < verdict.broken <= verdict.cases


@pytest.mark.parametrize("id", list(BY_ID))
def test_nothing_seen_is_no_success(id: str) -> None:
    seen = observed()
    empty = every_track(lambda t: replace(t, versions=(), fetched=(), probes=()))(seen)
    verdict = judge(BY_ID[id], replace(empty, multivariant=None, requests=(), protocol=None))
    assert verdict.outcome in (Outcome.NOT_SEEN, Outcome.NOT_APPLICABLE), verdict


# -- what says nothing of the server ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "kind"),
    [("6.2.2-removed-part", "removed part"), ("6.2.2-removed-segment", "kept segment")],
)
def test_what_was_asked_for_too_late_says_nothing(id: str, kind: str) -> None:
    gone = files(kind, status=404, until_s=lambda one: one.exchange.head_s - 0.001)
    assert judge(BY_ID[id], observed(change=gone)).outcome is Outcome.NOT_SEEN
    in_time = files(kind, status=404, until_s=lambda one: one.exchange.head_s)
    assert judge(BY_ID[id], observed(change=in_time)).outcome is Outcome.BROKEN


def test_an_answer_may_be_as_late_as_the_observer_was() -> None:
    slow = files("part", head_s=lambda one: one.exchange.asked_s + 1.5)
    seen = observed(change=slow)
    assert judge(BY_ID["6.2.1-part-available"], seen).outcome is Outcome.BROKEN
    assert judge(BY_ID["6.2.1-part-available"], replace(seen, lag_s=0.6)).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("id", "name"), [("6.2.5.2-part-alone", "part alone"), ("6.2.5.2-far", "part too far")]
)
def test_an_ended_playlist_may_ignore_any_directive(id: str, name: str) -> None:
    ended = read_media(playlist("video", whole(SEGMENTS)))
    assert ended.ended
    seen = observed(change=answers(name, status=200, playlist=ended))
    assert judge(BY_ID[id], seen).outcome is not Outcome.BROKEN


def test_a_hinted_part_that_is_listed_as_lost_may_be_gone() -> None:
    uri = f"video-{GAP - 1}.1.m4s"
    gone = files("hint", status=lambda one: 404 if one.uri == uri else one.exchange.status)
    verdict = judge(BY_ID["6.2.6-available"], observed(change=gone))
    assert (verdict.outcome, verdict.broken) == (Outcome.BROKEN, 1)
    lost = swap(f'{uri}"', f'{uri}",GAP=YES', since=0)
    assert judge(BY_ID["6.2.6-available"], observed(change=gone, edit=lost)).outcome is Outcome.OK


def test_a_file_may_be_gone_when_its_max_age_ran_out_while_the_answer_was_on_its_way() -> None:
    def track(found: Any) -> Any:
        one = next(one for one in found.fetched if one.kind == "segment")
        late = replace(later_by(19.5, one.exchange), status=404, head_s=one.exchange.asked_s + 20.5)
        return replace(found, fetched=(*found.fetched, replace(one, exchange=late)))

    verdict = judge(BY_ID["6.2.2-expires-true"], observed(change=every_track(track)))
    assert verdict.outcome is not Outcome.BROKEN
