import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from infra.supervisor.certificate import (
    LASTS,
    RENEW_BEFORE,
    Certificate,
    development_certificate,
)

NAMES = ("live.example.org", "127.0.0.1", "::1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def names(made: Certificate) -> set[str]:
    held = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    listed = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in listed}


def test_it_is_for_every_name_and_its_key_is_private(tmp_path: Path) -> None:
    made = development_certificate(tmp_path / "tls", NAMES, NOW)
    assert names(made) == set(NAMES)
    assert made.key.stat().st_mode & 0o077 == 0
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)


def test_it_stays_the_same_while_it_is_good(tmp_path: Path) -> None:
    first = development_certificate(tmp_path, NAMES, NOW).certificate.read_bytes()
    later = NOW + LASTS - RENEW_BEFORE - timedelta(seconds=1)
    assert development_certificate(tmp_path, NAMES[:2], later).certificate.read_bytes() == first


def test_another_name_or_a_near_end_makes_a_new_one(tmp_path: Path) -> None:
    first = development_certificate(tmp_path, NAMES, NOW).certificate.read_bytes()
    near = NOW + LASTS - RENEW_BEFORE
    second = development_certificate(tmp_path, NAMES, near).certificate.read_bytes()
    assert second != first
    third = development_certificate(tmp_path, [*NAMES, "other.example.org"], near)
    assert third.certificate.read_bytes() != second
    assert "other.example.org" in names(third)


@pytest.mark.parametrize("file", ["certificate.pem", "key.pem"])
def test_a_damaged_file_is_replaced(tmp_path: Path, file: str) -> None:
    development_certificate(tmp_path, NAMES, NOW)
    (tmp_path / file).write_text("no PEM")
    made = development_certificate(tmp_path, NAMES, NOW)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)
