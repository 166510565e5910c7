"""The archive function over a store in memory, with real media."""

from pathlib import Path
from typing import Any

import pytest

from coldpath.errors import PermanentFailure, RetryLater
from coldpath.ledger import Ledger
from coldpath.records import JobResult
from infra.keys import ProgramKey
from infra.lifecycle import Trigger
from tests.support.functions import CountingStore, attempt
from tests.support.session import Session, encode, session

KEY = ProgramKey("p", "e")


def run(ledger: Ledger, store: CountingStore, of: str, folder: Path) -> JobResult:
    return attempt("archive", ledger, store, of, folder)


def recorded(incarnation: str = "i1", **changes: Any) -> Session:
    return session(KEY, incarnation, *encode(), **changes)


def test_a_final_manifest_gives_playlists_of_which_no_segment_is_read(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    whole.upload(store)
    result = run(ledger, store, whole.manifest_key, tmp_path)
    assert result.trigger is Trigger.ARCHIVE_READY
    (vod,) = result.assets
    assert (vod.kind, vod.content_type) == ("vod", "application/vnd.apple.mpegurl")
    assert vod.key.endswith("/index.m3u8")
    assert vod.detail == {"playlists": ["audio.m3u8", "index.m3u8", "video.m3u8"]}
    # As long as its picture: sound's segments end now before, now behind the picture's.
    assert vod.duration_ms == 4_000
    assert result.outputs["keys"] == [vod.key]
    assert store.segments_read() == []


def test_a_rerun_finds_the_outputs(ledger: Ledger, store: CountingStore, tmp_path: Path) -> None:
    whole = recorded()
    whole.upload(store)
    first = run(ledger, store, whole.manifest_key, tmp_path)
    there = list(store.list("vod/"))
    assert run(ledger, store, whole.manifest_key, tmp_path) == first
    assert list(store.list("vod/")) == there


def test_a_manifest_that_is_not_final_gives_nothing(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    part = recorded(final=False)
    part.upload(store)
    result = run(ledger, store, part.manifest_key, tmp_path)
    assert (result.assets, result.trigger) == ((), None)
    assert not [key for key in store.puts if key.startswith("vod/")]


def test_all_incarnations_are_in_the_archive(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    first = recorded(final=False)
    second = recorded("i2", start_s=60, first_msn=64, discontinuity_seq=1, previous=["i1"])
    second.upload(store)
    with pytest.raises(RetryLater, match=r"live/p/e/main/i1/manifest\.json"):
        run(ledger, store, second.manifest_key, tmp_path)
    first.upload(store)
    result = run(ledger, store, second.manifest_key, tmp_path)
    folder = result.assets[0].key.rpartition("/")[0]
    text = store.get(f"{folder}/video.m3u8").decode()
    assert text.count("#EXTINF") == 4
    assert text.count("#EXT-X-DISCONTINUITY") == 1


def test_a_programme_of_which_nothing_was_recorded(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    empty = session(KEY, "i1")
    empty.upload(store)
    result = run(ledger, store, empty.manifest_key, tmp_path)
    assert (result.assets, result.trigger) == ((), None)
    assert result.outputs == {"skipped": "nothing was recorded"}


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"version": 2}', b"[" * 9999])
def test_what_is_no_manifest_is_not_tried_again(
    ledger: Ledger, store: CountingStore, tmp_path: Path, body: bytes
) -> None:
    key = recorded().manifest_key
    store.put(key, body, "application/json")
    with pytest.raises(PermanentFailure, match="is no session manifest") as refused:
        run(ledger, store, key, tmp_path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
