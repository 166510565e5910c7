"""What all functions that run when a programme is over do with one that is not all there."""

from pathlib import Path

import pytest

from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions import recorded
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from infra.keys import ManifestKey, ProgramKey
from tests.support.functions import CountingStore, attempt
from tests.support.session import encode, session

KEY = ProgramKey("p", "e")
LATE_MS = 240_000
"""An earlier session's manifest may come so late: its media node was away."""
NAMES = ("archive", "archive-mp4", "captions", "storyboard", "thumbnails")


@pytest.mark.parametrize("name", NAMES)
def test_an_earlier_manifest_is_waited_for(
    ledger: Ledger, store: CountingStore, tmp_path: Path, name: str
) -> None:
    last = session(KEY, "i2", *encode(), start_s=60, first_msn=64, previous=["i1"])
    last.upload(store)
    with pytest.raises(RetryLater, match=r"live/p/e/main/i1/manifest\.json"):
        attempt(name, ledger, store, last.manifest_key, tmp_path)
    bound = load(captions=True).get(name)
    assert bound is not None
    assert bound.on is ManifestKey
    terms = bound.terms
    waited = sum(terms.pause_ms(attempts) for attempts in range(1, terms.max_attempts))
    assert waited >= LATE_MS


@pytest.mark.parametrize("which", ["last", "earlier"])
def test_a_manifest_that_no_memory_holds_is_not_read(
    ledger: Ledger,
    store: CountingStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
) -> None:
    last = session(KEY, "i2", *encode(), start_s=60, first_msn=64, previous=["i1"])
    last.upload(store)
    earlier = str(ManifestKey(KEY, "i1"))
    size = len(store.get(last.manifest_key))
    store.put(earlier, bytes(size + 1), "application/json")
    store.gets.clear()
    monkeypatch.setattr(recorded, "MOST_BYTES", size - 1 if which == "last" else size)
    with pytest.raises(PermanentFailure, match="a week of five renditions"):
        attempt("archive", ledger, store, last.manifest_key, tmp_path)
    assert store.gets == ([] if which == "last" else [last.manifest_key])
