"""Errors of ingest.

LivepathError
└── IngestError
    ├── ListenError      the SRT port cannot be opened; the message says the fix
    └── FallbackError    the fallback child speaks something else than its protocol
"""

from infra.errors import LivepathError


class IngestError(LivepathError):
    """Something in ingest cannot go on."""


class ListenError(IngestError):
    """The SRT port cannot be opened."""


class FallbackError(IngestError):
    """The fallback child and its parent disagree about the protocol."""
