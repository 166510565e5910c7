"""The tags of a media playlist, as lines.

Upstream: `playlist`. Spec: draft-pantos-hls-rfc8216bis, 4.4, version 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hotpath.hls.values import US, date_time, seconds

VERSION = 10
"""8: 10 is for an EXT-X-SKIP that replaces date ranges; 6.2.1: the tag does not change between."""

HOLD_BACK = 3  # target durations; 4.4.3.8: at least three
PART_HOLD_BACK = 3  # part targets; at least two, should be three
SKIP_UNTIL = 6  # target durations; at least six


@dataclass(frozen=True, slots=True)
class Report:
    """EXT-X-RENDITION-REPORT of a sibling playlist."""

    uri: str
    last_msn: int
    last_part: int | None


@dataclass(frozen=True, slots=True)
class Delta:
    """A playlist delta update: what it leaves out besides the segments beyond the boundary."""

    dates: int | None = None
    """The oldest so many date range tags; None: every one stays (`_HLS_skip=YES`)."""
    removed: tuple[str, ...] = ()
    """IDs for RECENTLY-REMOVED-DATERANGES."""


def header(target_duration_s: int, part_target_ms: int, *, independent: bool) -> str:
    """What stays the same for the life of a playlist."""
    target, part = target_duration_s * US, part_target_ms * 1000
    # 6.2.1: the tag can neither come nor go, so it is a promise about what is not made yet.
    promise = "#EXT-X-INDEPENDENT-SEGMENTS\n" if independent else ""
    return (
        f"#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target_duration_s}\n"
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,"
        f"PART-HOLD-BACK={seconds(PART_HOLD_BACK * part)},"
        f"HOLD-BACK={seconds(HOLD_BACK * target)},"
        f"CAN-SKIP-UNTIL={seconds(SKIP_UNTIL * target)},CAN-SKIP-DATERANGES=YES\n"
        f"#EXT-X-PART-INF:PART-TARGET={seconds(part)}\n{promise}"
    )


def plain_header(target_duration_s: int) -> str:
    """The same for a playlist without parts, which is asked for as often as it may change."""
    return f"#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target_duration_s}\n"


def sequence(msn: int, discontinuity: int) -> str:
    """The numbers of the first segment."""
    return f"#EXT-X-MEDIA-SEQUENCE:{msn}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity}\n"


def skip(segments: int, delta: Delta) -> str:
    removed = ""
    if delta.dates is not None:
        ids = "\t".join(delta.removed)
        removed = f',RECENTLY-REMOVED-DATERANGES="{ids}"'
    return f"#EXT-X-SKIP:SKIPPED-SEGMENTS={segments}{removed}\n"


def media_map(uri: str) -> str:
    return f'#EXT-X-MAP:URI="{uri}"\n'


def begin(discontinuities: int, media_map: str, pdt_ns: int) -> str:
    """What comes before a segment's parts.

    Siblings agree on discontinuity numbers, so a jump of two is two tags.
    """
    date = f"#EXT-X-PROGRAM-DATE-TIME:{date_time(pdt_ns)}\n"
    return "#EXT-X-DISCONTINUITY\n" * discontinuities + media_map + date


def end(uri: str, duration_us: int, *, gap: bool) -> str:
    """What comes after a segment's parts, once it is whole."""
    return ("#EXT-X-GAP\n" if gap else "") + f"#EXTINF:{seconds(duration_us)},\n{uri}\n"


def trailer(hint: str | None, reports: Sequence[Report]) -> str:
    """The end of a playlist that goes on; `hint` is the URI of the part to come."""
    lines: list[str] = []
    if hint is not None:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hint}"\n')
    for report in reports:
        part = "" if report.last_part is None else f",LAST-PART={report.last_part}"
        lines.append(
            f'#EXT-X-RENDITION-REPORT:URI="{report.uri}",LAST-MSN={report.last_msn}{part}\n'
        )
    return "".join(lines)
