"""A built wheel carries what the pages and the demo load."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.web import build

ROOT = Path(__file__).parents[4]


@pytest.mark.integration
@pytest.mark.slow
def test_wheel_built_after_the_install_step_has_every_file(tmp_path: Path) -> None:
    build.install()
    source = tmp_path / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    shutil.copytree(build.VENDOR, source / build.VENDOR.relative_to(ROOT))
    subprocess.run(
        [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "-o", str(tmp_path), "."],
        cwd=source,
        check=True,
    )
    (wheel,) = tmp_path.glob("livepath-*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    vendor = {f"infra/web/static/vendor/{name}" for name in (*build.FILES.values(), build.STAMP)}
    pages = {
        path.relative_to(ROOT).as_posix()
        for path in (build.HERE / "static").rglob("*")
        if path.is_file()
    }
    speech = {f"infra/demo/speech/{name}" for name in ("speech.ogg", "README.txt", "LICENSE.txt")}
    assert (vendor | pages | speech) - carried == set()
