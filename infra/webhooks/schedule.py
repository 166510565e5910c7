"""When a delivery that failed is tried again. Pure: the time and the chance are arguments.

Invariant: attempts of a round lie within 24 hours of its beginning, the last one at their end; the
pauses between them grow.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

_SECOND = 1_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
PAUSES_MS = (5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR)
"""After the first attempt, the second and so on; the last is repeated."""
WINDOW_MS = 24 * _HOUR
SPREAD = 0.2
"""A pause is up to this part shorter or longer, so that endpoints that failed together do not
come back together."""
SUSTAINED_MS = 23 * _HOUR
"""An endpoint that took nothing for so long is disabled when a delivery to it is given up."""


def next_attempt_ms(
    made: int, round_ms: int, now_ms: int, chance: float, asked_ms: int | None = None
) -> int | None:
    """When the attempt after the `made` attempts of the round is due; None: it is given up.

    `chance` lies between 0 and 1. `asked_ms` is the pause that the endpoint asked for.
    """
    pause = PAUSES_MS[min(max(made, 1), len(PAUSES_MS)) - 1]
    pause = round(pause * (1 + SPREAD * (2 * chance - 1)))
    end = round_ms + WINDOW_MS
    if now_ms >= end:
        return None
    return min(now_ms + max(pause, asked_ms or 0), end)


def is_sustained(failing_since_ms: int | None, now_ms: int) -> bool:
    return failing_since_ms is not None and now_ms - failing_since_ms >= SUSTAINED_MS


def retry_after_ms(value: str | None, now_ms: int) -> int | None:
    """The pause that a `Retry-After` header asks for, in seconds or until a date (RFC 9110)."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * _SECOND, WINDOW_MS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(round(moment.timestamp() * 1000) - now_ms, 0), WINDOW_MS)
