"""API keys: 160 random bits shown once, kept as SHA-256.

A plain hash is enough because the key is random, not chosen: there is nothing to guess from a
dictionary, so a slow password hash would only make every request slower.
"""

import base64
import hashlib
import secrets

PREFIX = "lp_"
MIN_LENGTH = 20
"""Shortest key that is accepted from outside (the bootstrap file)."""


def new_api_key() -> str:
    """A fresh key in plain text."""
    return PREFIX + base64.b32encode(secrets.token_bytes(20)).decode().lower()


def hash_api_key(key: str) -> str:
    """The form in which a key is stored and looked up."""
    return hashlib.sha256(key.encode()).hexdigest()
