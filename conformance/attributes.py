"""Attribute lists of playlist tags, read strictly.

Invariant: any text gives a list and the problems it has; nothing is raised. Spec:
draft-pantos-hls-rfc8216bis, 4.2.
"""

import re
from dataclasses import dataclass

_PAIR = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)')
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_INTEGER = re.compile(r"[0-9]{1,20}")


def decimal(text: str | None) -> float | None:
    """A decimal-floating-point or decimal-integer, else None."""
    if text is None or len(text) > 40 or not _DECIMAL.fullmatch(text):
        return None
    return float(text)


def integer(text: str | None) -> int | None:
    """A decimal-integer, else None."""
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Attributes:
    pairs: tuple[tuple[str, str], ...] = ()
    """Values as written, quotation marks included."""

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.pairs if key == name), None)

    def quoted(self, name: str) -> str | None:
        """A quoted string without its marks; None if it is missing or not quoted."""
        value = self.get(name)
        return value[1:-1] if value is not None and value.startswith('"') else None

    def decimal(self, name: str) -> float | None:
        return decimal(self.get(name))

    def integer(self, name: str) -> int | None:
        return integer(self.get(name))

    def yes(self, name: str) -> bool:
        return self.get(name) == "YES"

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in self.pairs)


def parse_attributes(text: str) -> tuple[Attributes, list[str]]:
    """The list, and what is wrong with it."""
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    at = 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            problems.append(f"cannot be read from {text[at : at + 40]!r} on")
            break
        name, value = found.groups()
        if any(name == known for known, _ in pairs):
            problems.append(f"{name} is there twice")
        else:
            pairs.append((name, value))
        at = found.end()
    if text.endswith(","):
        problems.append("ends with a comma")
    return Attributes(tuple(pairs)), problems
