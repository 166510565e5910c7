"""Attribute values as playlists write them. Spec: draft-pantos-hls-rfc8216bis, 4.2."""

from datetime import UTC, datetime, timedelta

US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(us: int) -> str:
    """Decimal seconds of a duration, exact to the microsecond."""
    return f"{us // US}.{us % US:06d}"


def date_time(ns: int) -> str:
    """RFC 3339 with milliseconds, UTC, of Unix nanoseconds."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def unquotable(value: str) -> str | None:
    """The first character that a quoted string cannot hold; there is no way to escape one.

    4.2 names the double quote and line breaks. Other control characters count, too: a tab
    separates the IDs in RECENTLY-REMOVED-DATERANGES.
    """
    return next((c for c in value if c == '"' or not c.isprintable()), None)
