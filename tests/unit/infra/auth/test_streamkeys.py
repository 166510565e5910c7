"""Stream keys, passphrases, WHIP tokens: fixed vectors, so that C and Python derive the same."""

import base64
import hashlib
import hmac
import re

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token

SECRET = bytes(range(32))
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)


def test_vectors() -> None:
    assert stream_key(SECRET, "ev_1", "k1", 1) == "k1.1.7n2hdh4iob5gio5uew64t7h6va"
    assert srt_passphrase(SECRET, "ev_1", "k1", 1) == "jwq5kg6s2x2bps3fmctxpolpgpgy33om"


def test_the_key_is_the_hmac_that_the_grammar_names() -> None:
    mac = hmac.new(SECRET, b"livepath-key|ev_9|k2|7", hashlib.sha256).digest()
    assert (
        stream_key(SECRET, "ev_9", "k2", 7) == f"k2.7.{base64.b32encode(mac).decode()[:26].lower()}"
    )


def test_the_whip_token_is_an_hmac_of_its_own_and_a_bearer_token() -> None:
    mac = hmac.new(SECRET, b"livepath-whip|ev_9|k2|7", hashlib.sha256).digest()
    token = whip_token(SECRET, "ev_9", "k2", 7)
    assert token == f"k2.7.{base64.b32encode(mac).decode()[:32].lower()}"
    # RFC 6750 2.1: what a bearer token may hold.
    assert re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", token)
    # The stream key is readable on the wire; no part of it may be a part of the token.
    assert stream_key(SECRET, "ev_9", "k2", 7).split(".")[2][:8] not in token


@given(st.binary(min_size=16, max_size=64), names, st.integers(1, 10**9))
def test_the_passphrase_is_rfc_5869_and_srt_takes_it(
    secret: bytes, event: str, generation: int
) -> None:
    info = f"livepath-srt|{event}|k1|{generation}".encode()
    expected = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
    passphrase = srt_passphrase(secret, event, "k1", generation)
    assert passphrase == base64.b32encode(expected).decode().lower()[:32]
    # srt(7): SRTO_PASSPHRASE is 10 to 79 characters.
    assert 10 <= len(passphrase.encode()) <= 79


@pytest.mark.parametrize(
    "other",
    [
        (bytes(32), "ev_1", "k1", 1),
        (SECRET, "ev_2", "k1", 1),
        (SECRET, "ev_1", "k2", 1),
        (SECRET, "ev_1", "k1", 2),
    ],
)
def test_every_input_changes_all(other: tuple[bytes, str, str, int]) -> None:
    mine = (SECRET, "ev_1", "k1", 1)
    assert whip_token(*mine).rsplit(".", 1)[1] != whip_token(*other).rsplit(".", 1)[1]
    assert stream_key(*mine).rsplit(".", 1)[1] != stream_key(*other).rsplit(".", 1)[1]
    assert srt_passphrase(*mine) != srt_passphrase(*other)
