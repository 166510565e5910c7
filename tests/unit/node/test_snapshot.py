"""The desired state on disk."""

from pathlib import Path

from hotpath.node import snapshot
from infra.events.desired_state import DesiredSnapshot
from tests.support.medianode import PROJECT, event


def test_a_state_survives_on_disk_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "media" / "desired.json"
    state = DesiredSnapshot(epoch="e", projects={PROJECT.id: PROJECT}, events={"ev_one": event()})
    snapshot.save(path, state)
    assert snapshot.load(path) == state
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_state_and_a_broken_one_are_an_empty_state(tmp_path: Path) -> None:
    path = tmp_path / "desired.json"
    assert snapshot.load(path) == DesiredSnapshot()
    path.write_text('{"epoch": 3, "events"')
    assert snapshot.load(path) == DesiredSnapshot()
