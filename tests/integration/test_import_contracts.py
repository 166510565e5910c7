"""The import contracts of pyproject.toml really catch what they are for."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PACKAGES = ("hotpath", "coldpath", "infra", "conformance")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages and the contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__", "static", "speech")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def lint_imports(tree: Path) -> tuple[int, str]:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def broken_contracts(output: str) -> dict[str, str]:
    """Name of each broken contract -> what breaks it, on one line."""
    _, _, details = output.partition("Broken contracts")
    parts = re.split(r"^(.+)\n-{3,}\n", details, flags=re.MULTILINE)[1:]
    return {
        name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_the_contracts_hold_in_the_tree(tree: Path) -> None:
    status, output = lint_imports(tree)
    assert status == 0, output


PLANTED = (
    ("hotpath/hls/segmenter.py", "import time", "Pure cores"),
    ("hotpath/media/unit.py", "from random import Random", "Pure cores"),
    ("hotpath/program/timeline.py", "import asyncio.events", "Pure cores"),
    ("hotpath/hls/playlist.py", "from hotpath.ingest import streamid", "hotpath layers"),
    ("hotpath/media/annexb.py", "from hotpath.bus import ring", "hotpath layers"),
    ("hotpath/bus/ring.py", "import coldpath.plan", "hotpath and coldpath are independent"),
    ("infra/keys.py", "import hotpath.bus.ring", "infra imports neither"),
    ("coldpath/plan.py", "import infra.control.app", "never import the control API"),
    ("conformance/watch.py", "import infra.keys", "checker knows nothing"),
    ("infra/renditions.py", "import conformance.watch", "server knows nothing"),
    ("conformance/rules/section_6_2_1.py", "import asyncio", "Pure cores"),
)


def test_every_planted_import_breaks_its_contract(tree: Path) -> None:
    for module, planted, _ in PLANTED:
        path = tree / module
        path.write_text(path.read_text() + f"\n{planted}\n")
    status, output = lint_imports(tree)
    assert status != 0
    broken = broken_contracts(output)
    for module, _, contract in PLANTED:
        importer = module.removesuffix(".py").replace("/", ".")
        line = len((tree / module).read_text().splitlines())
        link = rf"{importer} -> [\w.]+ \(l\.(\d+, l\.)*{line}\)"
        details = [text for name, text in broken.items() if contract in name]
        assert any(re.search(link, text) for text in details), (module, contract, output)
