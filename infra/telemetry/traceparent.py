"""Which trace something belongs to, as it travels: the W3C header `traceparent`. Pure.

Invariant: any text gives a trace or None and never an error, so a header that cannot be used costs
a request its trace and nothing else; what is written can always be read back.

Spec: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header. `tracestate` is
not kept: what we send is a new header of our own, which the spec allows.
"""

import re
from dataclasses import dataclass

HEADER = "traceparent"
_SAMPLED = 0x01
# "version-format = trace-id '-' parent-id '-' trace-flags"; hexadecimal digits are lower case.
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TraceParent:
    """One span of one trace."""

    trace_id: int
    span_id: int
    sampled: bool
    """Whoever began the trace wants it recorded."""

    def __str__(self) -> str:
        return f"00-{self.trace_hex}-{self.span_id:016x}-{self.sampled:02x}"

    @property
    def trace_hex(self) -> str:
        """As people and other tools write the trace's id."""
        return f"{self.trace_id:032x}"


def parse(text: str | None) -> TraceParent | None:
    """The trace that a header names, or None."""
    found = None if text is None else _FORM.fullmatch(text)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    # "Version ff is invalid"; version 00 ends with its flags, later ones may go on.
    if version == "ff" or (version == "00" and more is not None):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    # "All bytes as zero is considered an invalid value", of either id.
    if not trace_id or not span_id:
        return None
    return TraceParent(trace_id, span_id, sampled=bool(int(flags, 16) & _SAMPLED))
