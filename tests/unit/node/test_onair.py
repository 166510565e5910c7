"""What is measured of what goes on the air."""

from dataclasses import replace

from prometheus_client import REGISTRY

from hotpath.bus.stream import ProgramStream
from hotpath.media.unit import AUDIO, Mark, Sample, Unit
from hotpath.node.onair import observed
from infra.keys import ProgramKey
from infra.telemetry.stages import METRIC

SECOND = 1_000_000_000


def counted() -> float:
    return REGISTRY.get_sample_value(f"{METRIC}_count", {"stage": "published"}) or 0.0


async def test_the_age_of_what_a_publisher_sent_is_counted_and_that_of_the_slate_is_not() -> None:
    stream = ProgramStream(ProgramKey("acme", "ev_1"), "k1")
    publish = observed(stream)
    unit = Unit(AUDIO, 0, 0, True, b"a", SECOND, SECOND)
    mark = Mark(0, 0, 0, True, SECOND)
    before = counted()
    publish([Sample(unit, mark, 2 * SECOND)])
    assert counted() == before + 1
    publish([Sample(replace(unit, slate=True), mark, 2 * SECOND)])
    assert counted() == before + 1
