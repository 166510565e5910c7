"""Errors of ingest.

LivepathError
└── IngestError
    ├── ListenError      the SRT port cannot be opened; the message says the fix
    ├── FallbackError    the fallback child speaks something else than its protocol
    ├── PublishRefused   a WHIP publisher is turned away; `reason` says why
    └── NoUsableCodec    a WHIP offer without H.264 or Opus; the message says the fix
"""

from hotpath.ingest.admission import Reason
from infra.errors import LivepathError


class IngestError(LivepathError):
    """Something in ingest cannot go on."""


class ListenError(IngestError):
    """The SRT port cannot be opened."""


class FallbackError(IngestError):
    """The fallback child and its parent disagree about the protocol."""


class PublishRefused(IngestError):
    """A WHIP publisher is turned away."""

    def __init__(self, reason: Reason, retry_after_s: int = 0) -> None:
        super().__init__(f"the publisher was refused: {reason.value}")
        self.reason = reason
        self.retry_after_s = retry_after_s


class NoUsableCodec(IngestError):
    """The offer has no codec that can be taken."""
