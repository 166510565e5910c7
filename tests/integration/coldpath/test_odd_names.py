"""A bucket in which others keep things, too: names that are none of ours, as a real store lists."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from coldpath.binding import Registry
from coldpath.context import JobFunction
from coldpath.deliveries import Deliveries, Delivery
from coldpath.intake import Intake
from coldpath.ledger import Ledger
from coldpath.reconcile import Reconciler
from coldpath.records import JobResult
from infra.db.engine import sync_engine
from infra.keys import ManifestKey, SegmentKey, VodKey, WorkKey
from infra.storage.objects import ObjectStore
from tests.support.databases import migrated_sqlite

pytestmark = pytest.mark.integration

ODD = (
    "live/.hidden",
    "live/p",
    "live/p/e/main/i1x",
    "live/p/e/main/I2/video/s0.m4s",
    "live/p/e/main/i1/video/s00.m4s",
    "live/p/e/main/i1/video/s1.m4s.part",
    "live/p/e e/main/i1/manifest.json",
    "live/p/e+e/main/i1/manifest.json",
    "live/p/%2e%2e/main/i1/manifest.json",
    "live/p/é&<>\"'/main/i1/manifest.json",
    f"live/p/{'e' * 65}/main/i1/manifest.json",
    "live/p/e/main/i1/deep/er/than/ours/manifest.json",
    "vod/p/e/main/c1/sub/index.m3u8",
    "work/p/e/main/i1/😀/w0.json",
)
OURS = {
    "live/p/e/main/i1/manifest.json": "archive",
    "live/p/e/main/i1/video/s0.m4s": "measure",
    "vod/p/e/main/c1/index.m3u8": "shrink",
    "work/p/e/main/i1/captions/w0.json": "read",
}


class Sent:
    """Takes whatever is sent."""

    def send(self, delivery: Delivery) -> None:
        """Nothing."""

    def live(self, queues: Iterable[str]) -> set[str] | None:
        return None


def test_what_is_not_ours_makes_no_job_and_hides_none(
    s3_store: ObjectStore, tmp_path: Path
) -> None:
    functions: Registry[JobFunction] = Registry()
    for name, on in zip(OURS.values(), (ManifestKey, SegmentKey, VodKey, WorkKey), strict=True):
        functions.function(name, on=on)(lambda _: JobResult())
    engine = sync_engine(migrated_sqlite(tmp_path))
    ledger, deliveries = Ledger(engine), Deliveries(engine)
    intake = Intake(s3_store, functions, ledger, deliveries, Sent())
    for key in (*ODD, *OURS):
        s3_store.put(key, b"x", "application/octet-stream")
    assert len(list(s3_store.list(""))) == len(ODD) + len(OURS)
    reconciler = Reconciler(
        s3_store, intake, deliveries, Sent(), functions.queues(), sessions_per_round=3
    )
    found = sum(reconciler.find_lost_events() for _ in range(12))
    assert found == len(OURS)
    owed = [delivery.job for delivery in deliveries.owed(99)]
    assert len(owed) == 0, "all were sent"
    assert intake.file([*ODD, *OURS]) == []
    engine.dispose()
