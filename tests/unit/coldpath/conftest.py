"""What functions run over: a ledger in a file, and a store in memory that counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coldpath.ledger import Ledger
from infra.db.engine import sync_engine
from tests.support.databases import migrated_sqlite
from tests.support.functions import CountingStore


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    engine = sync_engine(migrated_sqlite(tmp_path))
    yield Ledger(engine)
    engine.dispose()
