"""The header `traceparent`: W3C Trace Context, version 00."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.telemetry.traceparent import TraceParent, parse

# The example of the specification, section 3.2.3.
EXAMPLE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def test_the_example_of_the_specification() -> None:
    assert parse(EXAMPLE) == TraceParent(TRACE, SPAN, sampled=True)
    assert str(parse(EXAMPLE)) == EXAMPLE


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
)
def test_what_is_written_is_read_back(trace: int, span: int, sampled: bool) -> None:
    made = TraceParent(trace, span, sampled)
    assert parse(str(made)) == made
    assert len(str(made)) == 55


@given(st.text() | st.text("0123456789abcdefABCDEF-", min_size=50, max_size=60))
def test_any_text_gives_a_trace_or_none(text: str) -> None:
    found = parse(text)
    assert found is None or str(found)[3:52] == text[3:52]


@given(st.integers(0, 54), st.characters())
def test_a_changed_letter_gives_another_trace_or_none(at: int, letter: str) -> None:
    changed = EXAMPLE[:at] + letter + EXAMPLE[at + 1 :]
    found = parse(changed)
    assert found is None or (str(found) == changed) or at in (0, 1, 53, 54)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        EXAMPLE + "-more",  # version 00 has four fields
        EXAMPLE + "\n",
        " " + EXAMPLE,
        EXAMPLE.upper(),
        "ff" + EXAMPLE[2:],
        EXAMPLE.replace("-", "_"),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        EXAMPLE.replace("0af7", "٠af7"),  # a digit, but not of theirs
        EXAMPLE + ", " + EXAMPLE,  # two headers, joined
    ],
)
def test_what_is_no_trace(text: str | None) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("version", ["01", "cc", "fe"])
@pytest.mark.parametrize("more", ["", "-what-the-future-will-be-like"])
def test_later_versions_are_read_as_far_as_they_are_known(version: str, more: str) -> None:
    assert parse(version + EXAMPLE[2:] + more) == TraceParent(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("02", False), ("03", True)])
def test_other_flags_are_passed_over(flags: str, sampled: bool) -> None:
    found = parse(EXAMPLE[:-2] + flags)
    assert found is not None
    assert found.sampled is sampled
