"""Keyset pagination: newest first by (creation, id), so pages neither skip nor repeat rows.

A cursor is opaque to clients and names the last row of the page before.
"""

import base64
import binascii
import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d{1,15}):([a-z0-9][a-z0-9_-]{0,63})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    created_ms: int
    id: str

    def encode(self) -> str:
        text = f"{self.created_ms}:{self.id}".encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Raises ValueError for anything that `encode` did not make."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            match = _FORM.fullmatch(raw.decode())
        except (binascii.Error, UnicodeError) as error:
            raise ValueError("no cursor of this API") from error
        if match is None:
            raise ValueError("no cursor of this API")
        return cls(int(match[1]), match[2])
