"""6.2.6: preload hints."""

from collections.abc import Iterator

from conformance.observation import Observation, Track
from conformance.rule import Case, bad, case, good, must, no_matter, should

BURST_S = 0.05
"""A part comes in one go: what a slow path or a busy observer may add."""


def _came(track: Track) -> set[str]:
    """Parts that were listed, and not as lost."""
    return {p.uri for v in track.versions for _, _, p in v.playlist.parts if not p.gap}


@must("6.2.6-available", "a hinted part can be asked for as soon as it is hinted")
def available(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        listed = _came(track)
        patience = 3 * (last.target_duration or 0)
        for one in track.media("hint"):
            held = one.exchange.head_s - one.exchange.asked_s
            if one.exchange.status == 503 and held >= patience:
                continue  # the part was late, not the answer: 6.2.1 is about that
            if one.exchange.status in (200, 206):
                yield good(f"{track.name}: {one.exchange.outcome}")
            elif one.uri in listed:
                yield bad(f"{track.name}: {one.exchange.outcome}, and it was listed")


@must("6.2.6-whole", "no byte of a hinted part comes before all of it can")
def whole(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        room = BURST_S + 0.25 * (last.part_target or 0.0) + seen.lag_s
        for one in track.media("hint"):
            if one.exchange.status in (200, 206) and one.exchange.size:
                took = one.exchange.done_s - one.exchange.first_s
                words = f"{track.name} {one.uri}: first to last byte took {took * 1000:.0f} ms"
                yield case(took <= room, words)


@should("6.2.6-unknown", "a name that is nowhere gets 404")
def unknown(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for probe in track.probed("unknown name"):
            yield case(
                probe.exchange.status in (404, 410), f"{track.name}: {probe.exchange.outcome}"
            )


@should("6.2.6-lost", "a hinted part that never came gets 404")
def lost(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        listed = _came(track)
        for one in track.media("hint"):
            if one.uri not in listed and one.uri != last.hint() and one.exchange.status != 200:
                words = f"{track.name}: {one.exchange.outcome}, never listed"
                yield case(one.exchange.status in (404, 410, 503), words)


@should("6.2.6-one", "there is at most one hint of each TYPE")
def one_hint(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        if not playlist.hints:
            continue
        kinds = [hint.get("TYPE") for hint in playlist.hints]
        yield case(len(kinds) == len(set(kinds)), f"{track.name}: hints of TYPE {kinds}")
    if not any(playlist.hints for _, playlist in seen.playlists):
        yield no_matter("there are no hints")
