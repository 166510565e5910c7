"""4.4.3: tags of media playlists."""

from collections.abc import Iterator

from conformance.observation import Observation
from conformance.rule import Case, bad, case, good, must, no_matter, should
from conformance.rules.flaws import free_of

TINY = 0.0015  # durations are written in milliseconds or finer

once = free_of("4.4.3", "no media playlist tag is there twice")
target = free_of("4.4.3.1", "EXT-X-TARGETDURATION is there and a number of at least 1")
sequence = free_of("4.4.3.2", "EXT-X-MEDIA-SEQUENCE is a number in front of the first segment")
discontinuities = free_of(
    "4.4.3.3", "EXT-X-DISCONTINUITY-SEQUENCE precedes segments and discontinuities"
)
part_inf = free_of(
    "4.4.3.7",
    "EXT-X-PART-INF with PART-TARGET is there where parts are",
    where=lambda playlist: playlist.part_target is not None,
)


@must("4.4.3.1-extinf", "EXTINF, rounded, is at most the target duration")
def extinf(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        for segment in track.segments.values():
            rounded, most = int(segment.length + 0.5), last.target_duration or 0
            words = f"{track.name} {segment.msn}: EXTINF {segment.length:.3f}, target {most}"
            yield case(rounded <= most, words)


@must("4.4.3.4", "nothing changes behind EXT-X-ENDLIST")
def ended(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            if before.playlist.ended:
                same = after.playlist.edge == before.playlist.edge and after.playlist.ended
                yield case(same, f"{track.name}: ended at {before.playlist.edge}")


@must("4.4.3.8-skip", "CAN-SKIP-UNTIL is at least six target durations")
def can_skip_until(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if "CAN-SKIP-UNTIL" not in last.control:
            yield no_matter("there is no CAN-SKIP-UNTIL")
            continue
        value, least = last.control.decimal("CAN-SKIP-UNTIL"), 6 * (last.target_duration or 0)
        words = f"{track.name}: CAN-SKIP-UNTIL={last.control.get('CAN-SKIP-UNTIL')}, least {least}"
        yield case(value is not None and value >= least - TINY, words)


@must("4.4.3.8-skip-dateranges", "CAN-SKIP-DATERANGES is YES and comes with CAN-SKIP-UNTIL")
def can_skip_dateranges(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if "CAN-SKIP-DATERANGES" not in last.control:
            yield no_matter("there is no CAN-SKIP-DATERANGES")
            continue
        kept = last.control.yes("CAN-SKIP-DATERANGES") and "CAN-SKIP-UNTIL" in last.control
        yield case(kept, f"{track.name}: EXT-X-SERVER-CONTROL:{last.control}")


@must("4.4.3.8-hold-back", "HOLD-BACK is at least three target durations")
def hold_back(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if "HOLD-BACK" not in last.control:
            yield no_matter("there is no HOLD-BACK: it is three target durations")
            continue
        value, least = last.control.decimal("HOLD-BACK"), 3 * (last.target_duration or 0)
        words = f"{track.name}: HOLD-BACK={last.control.get('HOLD-BACK')}, least {least}"
        yield case(value is not None and value >= least - TINY, words)


@must("4.4.3.8-part-hold-back", "PART-HOLD-BACK is there with EXT-X-PART-INF, two part targets")
def part_hold_back(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if last.part_target is None:
            yield no_matter("there is no EXT-X-PART-INF")
            continue
        value = last.control.decimal("PART-HOLD-BACK")
        if value is None:
            yield bad(f"{track.name}: there is no PART-HOLD-BACK")
            continue
        words = f"{track.name}: PART-HOLD-BACK={value:g}, PART-TARGET={last.part_target:g}"
        yield case(value >= 2 * last.part_target - TINY, words)


@should("4.4.3.8-part-hold-back-3", "PART-HOLD-BACK is three times the greatest PART-TARGET")
def part_hold_back_three(seen: Observation) -> Iterator[Case]:
    targets = [last.part_target for _, last in seen.lasts if last.part_target is not None]
    for track, last in seen.lasts:
        value = last.control.decimal("PART-HOLD-BACK")
        if value is None or not targets:
            yield no_matter("there is no PART-HOLD-BACK")
            continue
        words = f"{track.name}: PART-HOLD-BACK={value:g}, greatest PART-TARGET={max(targets):g}"
        yield case(value >= 3 * max(targets) - TINY, words)


@must("4.4.3.8-yes", "the enumerated attributes of EXT-X-SERVER-CONTROL say YES or are absent")
def server_control_yes(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        value = last.control.get("CAN-BLOCK-RELOAD")
        if value in (None, "YES"):
            yield good(f"{track.name}: CAN-BLOCK-RELOAD is {value or 'absent'}")
        else:
            yield bad(f"{track.name}: CAN-BLOCK-RELOAD={value}")
