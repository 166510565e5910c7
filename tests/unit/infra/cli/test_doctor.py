import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from infra.cli.doctor import Finding, Verdict, check_disk, check_ports, check_writable
from infra.supervisor.ports import reserve_block


def test_a_taken_port_is_advice_with_a_way_out() -> None:
    reservation = reserve_block("127.0.0.1")
    base = reservation.plan.base
    try:
        with socket.create_server(("127.0.0.1", base + 4)):
            finding = check_ports(base)
    finally:
        reservation.release()
    assert finding.verdict is Verdict.ADVICE
    assert str(base + 4) in finding.detail
    assert "--port-base" in finding.fix


def test_a_full_disk_is_missing_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cli.doctor.FREE_NEEDED", 2**60)
    monkeypatch.setattr("infra.cli.doctor.FREE_WANTED", 2**61)
    assert check_disk(tmp_path / "not" / "made" / "yet").verdict is Verdict.MISSING


def test_a_data_folder_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "new").verdict is Verdict.OK


@pytest.mark.parametrize(("verdict", "status"), [(Verdict.ADVICE, 0), (Verdict.MISSING, 1)])
def test_doctor_fails_only_for_what_cannot_be_done_without(
    verdict: Verdict, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("libsrt", verdict, "not found", "install it")
    monkeypatch.setattr("infra.cli.doctor.examine", lambda *_: [finding])
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == status
    assert "install it" in result.output


def test_every_command_has_help() -> None:
    result = CliRunner().invoke(app, ["--help"])
    for command in ("up", "demo", "doctor", "control", "media", "uploader", "dispatcher", "worker"):
        assert command in result.output
