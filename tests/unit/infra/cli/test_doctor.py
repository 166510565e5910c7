import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import doctor
from infra.cli.app import app
from infra.cli.doctor import (
    Finding,
    Verdict,
    check_buffers,
    check_disk,
    check_native,
    check_ports,
    check_writable,
)
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


def test_small_socket_buffers_come_with_the_command_that_enlarges_them(tmp_path: Path) -> None:
    (tmp_path / "rmem_max").write_text("212992\n")
    (tmp_path / "wmem_max").write_text("16777216\n")
    finding = check_buffers(tmp_path)
    assert finding.verdict is Verdict.ADVICE
    assert finding.fix == f"sysctl -w net.core.rmem_max={doctor.BUFFER_WANTED}"


def test_large_socket_buffers_are_fine(tmp_path: Path) -> None:
    for name in ("rmem_max", "wmem_max"):
        (tmp_path / name).write_text(str(doctor.BUFFER_WANTED))
    assert check_buffers(tmp_path).verdict is Verdict.OK


def test_limits_that_cannot_be_read_are_no_problem(tmp_path: Path) -> None:
    assert check_buffers(tmp_path / "nowhere").verdict is Verdict.OK


def test_a_module_that_does_not_load_is_named_with_what_builds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modules = {"good one": "json", "bad one": "no_such_module_here"}
    monkeypatch.setattr("infra.cli.doctor.NATIVE", modules)
    found = list(check_native())
    assert [finding.verdict for finding in found[:2]] == [Verdict.OK, Verdict.MISSING]
    assert "no_such_module_here" in found[1].detail
    assert "C compiler" in {finding.what for finding in found}
