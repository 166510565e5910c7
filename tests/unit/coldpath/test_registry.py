"""Packages of third parties, as an installer leaves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coldpath.binding import Registry, Requested
from coldpath.catalogue import publish
from coldpath.functions.registry import load, registry
from infra.db.engine import sync_engine
from infra.db.jobs import Function
from tests.support.databases import migrated_sqlite
from tests.support.patient import describe, install_broken


@pytest.fixture(autouse=True)
def unbroken() -> Iterator[None]:
    yield
    registry.broken.clear()


def test_one_that_cannot_be_imported_leaves_nothing_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install_broken(tmp_path))
    found = load()
    assert found.get("archive") is not None
    assert found.get("half") is None
    assert found.broken == load(captions=True).broken
    assert found.broken["half"].startswith("half_done cannot be loaded: ModuleNotFoundError: No")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import sys; sys.exit('no GPU')", "SystemExit: no GPU"),
        ("this is no Python", "SyntaxError: "),
        (
            "from coldpath.binding import Requested\n"
            "from coldpath.functions.registry import registry\n"
            "registry.function('archive', on=Requested)(print)",
            "ValueError: a function named 'archive' is registered already",
        ),
    ],
    ids=["ends the process", "is no Python", "takes a name that is taken"],
)
def test_however_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, said: str
) -> None:
    describe(tmp_path, "odd", "odd_module")
    (tmp_path / "odd_module.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert said in load().broken["odd"]
    assert registry.get("archive") is not None


def test_it_is_listed_until_it_is_mended(tmp_path: Path) -> None:
    engine = sync_engine(migrated_sqlite(tmp_path))
    functions = Registry[object]()  # type: ignore[type-var]

    def listed() -> list[tuple[str, str, str]]:
        publish(engine, functions)
        with Session(engine) as session:
            rows = session.scalars(select(Function).order_by(Function.name))
            return [(row.name, row.trigger, row.doc) for row in rows]

    functions.function("own", on=Requested)(print)
    functions.broken = {"mine": "no\nroom", "own": "x" * 900}
    assert listed() == [
        ("mine", "broken", "no"),
        ("own", "request", listed()[1][2]),
        ("own (package)", "broken", "x" * 500),
    ]
    functions.broken = {}
    assert [row[0] for row in listed()] == ["own"]
    engine.dispose()
