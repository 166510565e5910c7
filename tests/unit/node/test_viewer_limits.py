"""What the settings of a node mean for its viewers."""

import pytest

from benchmarks.livepath_server import UNLIMITED
from hotpath.fanout.limits import Gate, Limits
from hotpath.node.webrtc import viewer_limits
from infra.settings import MediaSettings


def test_without_a_setting_the_limits_are_the_default() -> None:
    assert viewer_limits(MediaSettings()) == Limits()


@pytest.mark.parametrize(("setting", "let_in"), [("3", 30), ("0", 500)])
def test_ten_times_the_joins_a_second_come_at_once_from_one_address(
    monkeypatch: pytest.MonkeyPatch, setting: str, let_in: int
) -> None:
    for name, value in (UNLIMITED | {"joins_per_s_per_ip": setting}).items():
        monkeypatch.setenv(f"LIVEPATH_{name.upper()}", value)
    gate = Gate(viewer_limits(MediaSettings()))
    refused = [gate.join("ev_1", "192.0.2.1", 0) for _ in range(500)]
    assert refused.count(None) == let_in
