"""What control tells media nodes over the bus, told by a test."""

from infra.events.desired import EPOCH, HASH, LOG, DesiredEvent, event_field, project_field
from tests.support.medianode import PROJECT
from tests.support.valkey import ValkeyServer


def say(bus: ValkeyServer, wanted: DesiredEvent) -> None:
    """What control does with a change; a revision that was not said before is one."""
    with bus.client() as client:
        client.hset(HASH, project_field(PROJECT.id), PROJECT.model_dump_json())
        client.hset(HASH, event_field(wanted.id), wanted.model_dump_json())
        client.xadd(LOG, {"field": event_field(wanted.id)})
        client.set(EPOCH, "test")
