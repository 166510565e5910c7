"""URLs that people paste: they must survive the shell and carry what ffmpeg expects."""

import shutil
import subprocess
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.ingest.streamid import StreamId, parse
from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token
from infra.control.links import Links
from infra.publishers import Role

SECRET = bytes(range(32))
LINKS = Links(
    public_url="https://live.example/",
    media_url="https://media.example",
    srt_url="srt://media.example:8082",
    srt_latency_ms=120,
)
BASH = shutil.which("bash")


def test_captions_are_named_where_media_nodes_offer_them() -> None:
    assert LINKS.hls_with_captions("default", "ev_1") is None
    offered = replace(LINKS, live_captions=True).hls_with_captions("default", "ev_1")
    assert offered == LINKS.hls("default", "ev_1").replace("index.m3u8", "index-captions.m3u8")


def test_recordings_come_from_control_or_from_a_cdn() -> None:
    key = "vod/p/ev_1/main/c/index.m3u8"
    assert LINKS.viewed(key) == f"https://live.example/{key}"
    cdn = Links("https://x", "https://y", "srt://z:1", 120, objects_url="https://cdn.example/")
    assert cdn.viewed(key, "a.b.c") == f"https://cdn.example/t/a.b.c/{key}"
    assert cdn.recording("ev_1", "a.b.c") == "https://x/vod/ev_1#a.b.c"


def test_ingest_url_is_the_bare_form_with_microseconds() -> None:
    access = LINKS.srt(SECRET, "ev_1", "k1", 3)
    parts = urlsplit(access.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc) == ("srt", "media.example:8082")
    assert query == {
        "streamid": f"ev_1/{stream_key(SECRET, 'ev_1', 'k1', 3)}",
        "passphrase": srt_passphrase(SECRET, "ev_1", "k1", 3),
        "latency": "120000",
        "mode": "caller",
        "pkt_size": "1316",
    }
    # ffmpeg takes the query apart at & and = and decodes nothing inside streamid.
    assert f"streamid={access.stream_id}&" in access.url
    assert access.latency_ms == 120


def test_the_backup_has_the_same_key_at_an_address_of_its_own() -> None:
    access = LINKS.srt(SECRET, "ev_1", "k1", 3)
    assert access.backup_stream_id == f"{access.stream_id}/backup"
    assert access.backup_url == access.url.replace(access.stream_id, access.backup_stream_id)
    assert parse(access.backup_stream_id.encode()) == StreamId(
        "ev_1", stream_key(SECRET, "ev_1", "k1", 3), Role.BACKUP
    )
    assert LINKS.whip(SECRET, "ev_1", "k1", 3).backup_url.endswith("/whip/ev_1?role=backup")


def test_pasted_between_double_quotes_bash_changes_nothing() -> None:
    url = LINKS.srt(SECRET, "ev_2kq5mzx7c3v4b6n7a8sd", "k1", 1).url
    assert BASH is not None, "bash is missing; run: sudo apt-get install -y bash"
    # An interactive shell, because only there does `!` expand the history.
    done = subprocess.run(
        [BASH, "--norc", "--noprofile", "-i"],
        input=f'set -o history; set -o histexpand\nprintf "<%s>\\n" "{url}"\nexit\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        start_new_session=True,
    )
    assert f"<{url}>" in done.stdout.splitlines()


def test_the_shell_test_can_fail() -> None:
    assert BASH is not None
    bad = "srt://h:1?streamid=#!::r=ev_1,u=k"
    done = subprocess.run(
        [BASH, "--norc", "--noprofile", "-i"],
        input=f'set -o history; set -o histexpand\nprintf "<%s>\\n" "{bad}"\nexit\n',
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        start_new_session=True,
    )
    assert f"<{bad}>" not in done.stdout.splitlines()


@given(
    st.binary(min_size=32, max_size=32),
    st.from_regex(r"ev_[a-z2-7]{20}", fullmatch=True),
    st.integers(1, 10**6),
)
def test_no_ingest_url_holds_a_character_that_shells_read(
    secret: bytes, event: str, generation: int
) -> None:
    access = LINKS.srt(secret, event, "k1", generation)
    assert not set(access.url + access.backup_url) & set("$`!\\\"' \t\n#{}[]()<>|;*~%")


def test_playback_urls() -> None:
    assert LINKS.hls("acme", "ev_1") == "https://media.example/live/acme/ev_1/main/index.m3u8"
    assert (
        LINKS.hls("acme", "ev_1", "tok")
        == "https://media.example/t/tok/live/acme/ev_1/main/index.m3u8"
    )
    assert LINKS.whep("acme", "ev_1") == "https://media.example/live/acme/ev_1/main/whep"
    assert (
        LINKS.whep("acme", "ev_1", "tok") == "https://media.example/t/tok/live/acme/ev_1/main/whep"
    )
    assert LINKS.player("ev_1") == "https://live.example/watch/ev_1"
    assert LINKS.player("ev_1", "tok") == "https://live.example/watch/ev_1#tok"


def test_whip_token_is_in_no_url_but_a_fragment() -> None:
    access = LINKS.whip(SECRET, "ev_1", "k1", 3)
    assert access.url == "https://media.example/whip/ev_1"
    assert access.token == whip_token(SECRET, "ev_1", "k1", 3)
    assert access.publish_url == f"https://live.example/publish/ev_1#{access.token}"


@pytest.mark.parametrize("netloc", ["10.0.0.7:9002", "[2001:db8::1]:9002", "studio.example:1"])
def test_any_advertised_address_is_kept(netloc: str) -> None:
    links = Links("http://x", "http://y", f"srt://{netloc}", 200)
    url = links.srt(SECRET, "ev_1", "k1", 1).url
    assert url.startswith(f"srt://{netloc}?streamid=ev_1/")
    assert "latency=200000" in url
