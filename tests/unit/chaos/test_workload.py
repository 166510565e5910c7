"""What is to be done follows from a seed, and comes as from an uploader and from clients."""

from itertools import pairwise

import pytest

from infra.jobs.clip_request import EXACT, INSTANT
from infra.keys import InitKey, ManifestKey, SegmentKey, parse
from infra.manifest import SessionManifest
from tests.chaos.labour import LABOUR, POISON
from tests.chaos.workload import Ask, Begin, Put, Workload, workload

JOBS, SECONDS = 40, 60


@pytest.fixture(scope="module")
def work() -> Workload:
    return workload(3, JOBS, SECONDS)


def test_a_seed_says_it_all(work: Workload) -> None:
    assert workload(3, JOBS, SECONDS) == work
    assert workload(4, JOBS, SECONDS).expected.keys() != work.expected.keys()


def test_there_is_enough_to_do_of_every_kind_and_all_in_time(work: Workload) -> None:
    assert len(work.expected) >= JOBS
    functions = {request.function for request in work.expected.values()}
    assert functions >= {"archive", "thumbnails", "storyboard", "poster-live"}
    assert functions >= {INSTANT, EXACT, LABOUR, POISON}
    assert len(work.poison) == 1
    assert all(0 <= deed.at_s <= SECONDS for deed in work.deeds)
    assert all(a.at_s <= b.at_s for a, b in pairwise(work.deeds))


def test_a_manifest_comes_after_all_that_it_names(work: Workload) -> None:
    stored: set[str] = set()
    for deed in work.deeds:
        if not isinstance(deed, Put):
            continue
        stored.add(deed.key)
        key = parse(deed.key)
        if isinstance(key, ManifestKey):
            manifest = SessionManifest.model_validate_json(deed.data)
            for rendition in manifest.renditions:
                names = [InitKey(key.program, key.incarnation, rendition.name, 0)] + [
                    SegmentKey(key.program, key.incarnation, rendition.name, entry.msn)
                    for entry in rendition.segments
                ]
                assert {str(name) for name in names} <= stored


def test_programmes_are_known_before_they_come(work: Workload) -> None:
    known: set[str] = set()
    for deed in work.deeds:
        match deed:
            case Begin():
                known.add(deed.program.event)
            case Put():
                key = parse(deed.key)
                assert key is not None
                assert key.program.event in known
            case Ask():
                assert deed.request.event in known or deed.request.function == POISON
