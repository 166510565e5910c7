"""The self-signed certificate of `livepath up --tls`: for development, and for cameras on a LAN.

Browsers open cameras only to pages they call secure, so publishing from another machine needs TLS.
Invariant: the certificate in the folder is for the names asked for and does not end within
`RENEW_BEFORE`; it is made anew only when that is not so, because people have to accept each.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LASTS = timedelta(days=365)
RENEW_BEFORE = timedelta(days=7)
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files."""

    certificate: Path
    key: Path


def development_certificate(folder: Path, names: Sequence[str], now: datetime) -> Certificate:
    """The certificate for these names and addresses, kept in `folder`; `now` is in UTC."""
    found = Certificate(folder / "certificate.pem", folder / "key.pem")
    wanted = tuple(dict.fromkeys(names))
    if _good(found, wanted, now):
        return found
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    descriptor = os.open(found.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    found.certificate.write_bytes(_self_signed(key, wanted, now).public_bytes(pem))
    return found


def _self_signed(
    key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Livepath development")])
    public = key.public_key()
    return (
        x509.CertificateBuilder(subject, subject, public, x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + LASTS)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
        .sign(key, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _good(found: Certificate, names: Sequence[str], now: datetime) -> bool:
    try:
        held = x509.load_pem_x509_certificate(found.certificate.read_bytes())
        secret = serialization.load_pem_private_key(found.key.read_bytes(), None)
        listed = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    fits = secret.public_key() == held.public_key()
    lasts = held.not_valid_after_utc - now > RENEW_BEFORE
    return fits and lasts and set(listed) >= {_general(name) for name in names}
