"""What functions say, as every database keeps it.

Invariant: text that passes `text` holds no NUL, which Postgres refuses, and no half of a surrogate
pair, which no encoding takes: what a program that failed has written may hold both. What passes
`require_storable` is JSON that databases and the API's clients read.

Upstream: `coldpath.runner`, `coldpath.context`, `coldpath.log_tail`. Downstream: the ledger.
"""

import json
import re
from typing import Any

from pydantic import ValidationError

from coldpath.errors import ResultRefused
from coldpath.records import JobResult, NewAsset

MOST = 1 << 20
"""Bytes of outputs, of a checkpoint, of the facts of an asset."""
MOST_KIND, MOST_CONTENT_TYPE = 16, 128
"""Characters, of an asset."""
MOST_COUNT = (1 << 63) - 1
_NAMED = 3
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def text(words: str) -> str:
    """The words, U+FFFD in place of what cannot be kept."""
    return _UNSTORABLE.sub("\ufffd", words)


def said(error: BaseException) -> str:
    """An error's type and words, though it may have none."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - an error without words is still an error
        words = "(its words cannot be had)"
    return text(f"{type(error).__name__}: {words}")


def mistakes(error: ValidationError) -> str:
    """In a line: where the first few are, and what is wrong there."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    named = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in found]
    more = [f"and {len(named) - _NAMED} more"] if len(named) > _NAMED else []
    return text("; ".join([*named[:_NAMED], *more]))


def require_storable(what: str, value: Any) -> None:
    """Raises `ResultRefused`, which names `what`, unless the value is JSON of at most `MOST` bytes,
    without NaN, infinity or halves of surrogate pairs."""
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultRefused(f"{what} cannot be kept as JSON: {text(str(error))}") from error
    if size > MOST:
        raise ResultRefused(
            f"{what} have {size} bytes, {MOST} are allowed: put what is large into objects"
        )


def require_storable_result(result: JobResult) -> None:
    """Raises `ResultRefused` for a result that the ledger could not keep."""
    if not isinstance(result, JobResult):
        raise ResultRefused(f"the function returned {type(result).__name__}, not a JobResult")
    require_storable("the outputs", dict(result.outputs))
    for asset in result.assets:
        require_storable(f"the facts of asset {asset.key}", dict(asset.detail))
        _require_text(asset, "kind", MOST_KIND)
        _require_text(asset, "content_type", MOST_CONTENT_TYPE)
        _require_count(asset, "bytes", asset.bytes)
        _require_count(asset, "duration_ms", asset.duration_ms or 0)


def _require_text(asset: NewAsset, name: str, most: int) -> None:
    value = getattr(asset, name)
    if not isinstance(value, str) or len(value) > most or text(value) != value:
        raise ResultRefused(
            f"{name} of asset {asset.key} is {value!r:.200}; it must be text of at most {most} "
            "characters"
        )


def _require_count(asset: NewAsset, name: str, value: int) -> None:
    if not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
        raise ResultRefused(
            f"{name} of asset {asset.key} is {value!r}; it must be a whole number of at least 0"
        )
