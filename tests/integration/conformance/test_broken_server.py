"""A server that breaks rules on purpose is told which, and one that is not there what to do."""

import socket
from pathlib import Path

import pytest

from conformance.command import check, main
from conformance.rule import Level, Outcome
from tests.support.broken_llhls import BrokenOrigin
from tests.support.llhls import make_media

pytestmark = pytest.mark.integration

FORBIDDEN = {
    "4.4.3.8-part-hold-back",
    "4.4.3.8-skip",
    "4.4.4.9-shortest",
    "4.4.4.9-sum",
    "4.4.4.9-bytes",
    "4.4.5.3-uri",
    "6.2.2-sequence",
    "6.2.4-target",
    "6.2.5.2-part-alone",
    "6.2.6-one",
    "6.2.1-gzip",
    "B.1-reports",
}
"""What `BrokenOrigin` does wrong."""
KEPT = {"4.2", "4.4.3.1-extinf", "4.4.4.5-map", "6.2.1-init-available", "6.2.4-codecs", "HTTP-cors"}


async def test_the_rules_that_are_broken_are_named(tmp_path: Path) -> None:
    async with BrokenOrigin(make_media(tmp_path, seconds=20, size=(320, 180))) as origin:
        judging = await check(origin.url, seconds=8)
    found = {one.rule.id: one for one in judging.verdicts}
    broken = {id for id, one in found.items() if one.outcome is Outcome.BROKEN}
    assert broken >= FORBIDDEN
    assert {found[id].outcome for id in KEPT} == {Outcome.OK}
    assert "PART-HOLD-BACK=0.5" in found["4.4.3.8-part-hold-back"].evidence
    assert found["6.2.1-gzip"].rule.level is Level.SHOULD


def test_a_server_that_is_not_there_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/index.m3u8"
        assert main([url]) == 2
    assert "is the server running" in capsys.readouterr().err


def test_an_unknown_section_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:1/index.m3u8", "--only", "9.9"]) == 2
    assert "6.2.5.2" in capsys.readouterr().err
