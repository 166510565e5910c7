"""Rules that the reader itself checks: a playlist's text has a flaw of the section, or none."""

from collections.abc import Callable, Iterable, Iterator

from conformance.observation import Observation
from conformance.playlist import Flaw, MediaPlaylist
from conformance.rule import Case, Level, Rule, bad, good


def _flaws(seen: Observation) -> Iterator[tuple[str, tuple[Flaw, ...]]]:
    if seen.multivariant is not None:
        yield "multivariant playlist", seen.multivariant.flaws
    for track, playlist in seen.playlists:
        yield track.name, playlist.flaws


def free_of(
    section: str,
    requirement: str,
    *,
    level: Level = Level.MUST,
    id: str | None = None,
    where: Callable[[MediaPlaylist], bool] | None = None,
) -> Rule:
    """A rule that no playlist has a flaw of this section; `where`: what it is about is there."""

    def check(seen: Observation) -> Iterable[Case]:
        if where is not None and not any(where(one) for _, one in seen.playlists):
            found = [flaw for _, flaws in _flaws(seen) for flaw in flaws]
            if not any(flaw.section == section for flaw in found):
                return
        for name, flaws in _flaws(seen):
            here = [flaw for flaw in flaws if flaw.section == section]
            for flaw in here:
                yield bad(f"{name} line {flaw.line}: {flaw.words}")
            if not here:
                yield good(f"{name} has no such flaw")

    return Rule(id or section, level, requirement, check)
