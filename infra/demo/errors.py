"""Errors of the demo.

DemoError              something the demo promised did not happen; the message says what
├── EncoderFailed      ffmpeg stopped by itself; the message ends with what it wrote
├── MediaError         a playlist or fragment that a player could not use
└── ApiFailed          the control API refused a request
"""

from infra.errors import LivepathError


class DemoError(LivepathError):
    """Something the demo promised did not happen."""


class EncoderFailed(DemoError):
    """The encoder stopped by itself."""


class MediaError(DemoError):
    """A playlist or fragment that a player could not use."""


class ApiFailed(DemoError):
    """The control API refused a request."""
