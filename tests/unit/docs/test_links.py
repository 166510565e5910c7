"""The documentation names files and pages that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
CODE = re.compile(r"(?<![\w/.-])((?:[\w-]+/)*[\w-]+\.(?:py|c))\b")
PACKAGES = (
    "hotpath",
    "coldpath",
    "infra",
    "edge",
    "conformance",
    "benchmarks",
    "tests",
    "examples",
)


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match[1] for match in LINK.finditer(page.read_text())]
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_source_files_named_in_the_text_exist(page: Path) -> None:
    sources = {
        f"/{path.relative_to(ROOT)}"
        for package in PACKAGES
        for pattern in ("*.py", "*.c")
        for path in (ROOT / package).rglob(pattern)
    }
    named = {match[1] for match in CODE.finditer(page.read_text())}
    assert [
        name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in sources)
    ] == []
