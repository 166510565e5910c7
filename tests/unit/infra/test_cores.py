"""What a process may take of a machine is what its affinity and its control groups leave it."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import cores
from infra.cores import available_cores, granted_cores, read_groups, read_quota

V1 = "12:pids:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("200000 100000\n", 2.0),
        ("50000 100000", 0.5),
        ("max 100000\n", None),
        ("-1 100000", None),
        ("0 100000", None),
        ("100000 0", None),
        ("100000", None),
        ("", None),
    ],
)
def test_a_quota_is_a_share_of_its_period(text: str, quota: float | None) -> None:
    assert read_quota(text) == quota


def test_the_groups_of_both_versions_are_found() -> None:
    assert read_groups("0::/a/b\n") == [(2, PurePosixPath("/a/b"))]
    assert read_groups(V1) == [(1, PurePosixPath("/docker/abc"))]
    assert read_groups("3:cpuset:/a\nrubbish\n\n") == []


@given(st.text())
def test_anything_can_be_read(text: str) -> None:
    read_groups(text)
    assert (read_quota(text) or 1) > 0


class Machine:
    def __init__(self, folder: Path, membership: str) -> None:
        self.mount, self.membership = folder / "mount", folder / "membership"
        self.membership.write_text(membership)

    def write(self, name: str, text: str) -> None:
        file = self.mount / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def granted(self) -> float | None:
        return granted_cores(self.membership, self.mount)


def test_the_least_of_the_groups_above_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/slice/service\n")
    assert machine.granted is None
    machine.write("slice/service/cpu.max", "max 100000")
    assert machine.granted is None
    machine.write("slice/service/cpu.max", "400000 100000")
    machine.write("slice/cpu.max", "150000 100000")
    assert machine.granted == 1.5


@pytest.mark.parametrize("membership", ["0::/", "0::/../outside", "0::/docker/abc"])
def test_a_container_sees_its_own_group_as_the_topmost(tmp_path: Path, membership: str) -> None:
    machine = Machine(tmp_path, membership)
    machine.write("cpu.max", "200000 100000")
    assert machine.granted == 2.0


def test_version_1_has_a_file_for_each_number(tmp_path: Path) -> None:
    machine = Machine(tmp_path, V1)
    machine.write("cpu,cpuacct/cpu.cfs_quota_us", "250000\n")
    machine.write("cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert machine.granted == 2.5
    machine.write("cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n")
    machine.write("cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n")
    assert machine.granted == 2.5


def test_without_control_groups_affinity_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "_MEMBERSHIP", tmp_path / "none")
    monkeypatch.setattr(cores, "_MOUNT", tmp_path)
    assert available_cores() == len(os.sched_getaffinity(0))
    machine = Machine(tmp_path, "0::/")
    monkeypatch.setattr(cores, "_MEMBERSHIP", machine.membership)
    machine.write("../cpu.max", "50000 100000")
    assert available_cores() == 0.5
    machine.write("../cpu.max", "900000000 100000")
    assert available_cores() == len(os.sched_getaffinity(0))
