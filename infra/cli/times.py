"""Times and durations as people type them, read into what the API takes. Pure: `now` is given.

Invariant: a time that a zone does not have, or has twice (clocks go forward and back), is refused
and never guessed. Everything raises ValueError in words for the one who typed it.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = r"\d{1,9}(?:\.\d{1,3})?[dhms]"
_DURATION = re.compile(rf"(?:{_PART})+", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,3})?", re.ASCII)
FORMS = "2030-06-01T18:00:00Z, '2030-06-01 18:00', now or +30m"


def seconds(text: str) -> float:
    """A duration: `90`, `90s`, `1h30m`, `1.5h`, `2d`."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration, such as 90s, 30m or 1h30m")
    parts = re.findall(_PART, text)
    return sum(float(part[:-1]) * _UNITS[part[-1]] for part in parts)


def whole_seconds(text: str) -> int:
    """A duration that the API counts in seconds."""
    found = seconds(text)
    if found != int(found):
        raise ValueError(f"{text!r} is no whole number of seconds")
    return int(found)


def zone_named(name: str | None) -> tzinfo | None:
    """None: that of this machine."""
    try:
        return None if name is None else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone, such as Europe/Vienna") from None


def is_local(text: str) -> bool:
    """Whether the text means one time here and another time elsewhere."""
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def moment(text: str, zone: tzinfo | None, now: datetime) -> datetime:
    """A point in time: with an offset, as clocks in `zone` show it, or from `now` on."""
    if text == "now":
        return now
    if text[:1] in ("+", "-"):
        away = timedelta(seconds=seconds(text[1:]))
        return now + away if text[0] == "+" else now - away
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time, such as {FORMS}") from None
    return found if found.tzinfo is not None else _on_clocks_of(zone, found)


def place(text: str, now: datetime) -> datetime | float:
    """Where a clip begins or ends: a moment, or seconds of the recording."""
    return float(text) if _NUMBER.fullmatch(text) else moment(text, None, now)


def _on_clocks_of(zone: tzinfo | None, shown: datetime) -> datetime:
    def really(fold: int) -> datetime:
        # Without a zone Python takes that of the machine.
        return shown.replace(tzinfo=zone, fold=fold).astimezone(UTC)

    found = really(0)
    where = "here" if zone is None else f"in {zone}"
    if found.astimezone(zone).replace(tzinfo=None, fold=0) != shown:
        raise ValueError(f"{shown} does not exist {where}: clocks go forward then")
    if really(1) != found:
        raise ValueError(f"{shown} comes twice {where}: clocks go back; write it with an offset")
    return found.astimezone(zone)
