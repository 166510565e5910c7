"""The Python specification of streamids, and its equality with srt_streamid.c."""

import pytest
from hotpath.ingest._srt import ffi, lib
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.ingest.streamid import StreamId, parse
from infra.publishers import ROLES, Role


def parse_in_c(text: bytes) -> StreamId | None:
    out = ffi.new("lp_streamid *")
    if not lib.lp_parse_streamid(text, len(text), out):
        return None
    return StreamId(ffi.string(out.event).decode(), ffi.string(out.key).decode(), ROLES[out.role])


BACKUP = StreamId("ev_1", "k1.2.abc", Role.BACKUP)
LONGEST = b"#!::r=" + b"e" * 64 + b",m=publish,u=" + b"k" * 127 + b",livepath_role=backup,x="


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"ev_1/k1.2.abc", StreamId("ev_1", "k1.2.abc")),
        (b"#!::r=ev_1,m=publish,u=k1.2.abc", StreamId("ev_1", "k1.2.abc")),
        (b"#!::u=k1.2.abc,r=ev_1", StreamId("ev_1", "k1.2.abc")),
        (b"#!::h=host,r=ev_1,m=publish,u=k,t=stream", StreamId("ev_1", "k")),
        (b"", None),
        (b"ev_1", None),
        (b"ev_1/", None),
        (b"/key", None),
        (b"ev_1/a/b", None),
        (b"EV_1/key", None),
        (b"_ev/key", None),
        (b"e" * 64 + b"/" + b"k" * 127, StreamId("e" * 64, "k" * 127)),
        (b"e" * 65 + b"/k", None),
        (b"e/" + b"k" * 128, None),
        (b"ev_1/k\x00y", None),
        (b"ev_1/k\n", None),
        (b"#!::r=ev_1,m=request,u=k", None),
        (b"#!::r=ev_1,m=publish", None),
        (b"#!::m=publish,u=k", None),
        (b"#!::r=ev_1,r=ev_2,u=k", None),
        (b"#!::r=ev_1,u=k,", None),
        (b"#!::r=ev_1,u=k,=x", None),
        (b"#!::", None),
        (b"#!:r=ev_1/k", None),
        (b"ev_1/k1.2.abc/backup", BACKUP),
        (b"ev_1/k1.2.abc/primary", StreamId("ev_1", "k1.2.abc", Role.PRIMARY)),
        (b"ev_1/k1.2.abc/", None),
        (b"ev_1/k1.2.abc/Backup", None),
        (b"ev_1/k1.2.abc/backup/", None),
        (b"ev_1/k1.2.abc/backup\x00", None),
        (b"ev_1//backup", None),
        (b"#!::r=ev_1,m=publish,u=k1.2.abc,livepath_role=backup", BACKUP),
        (b"#!::livepath_role=backup,u=k1.2.abc,r=ev_1", BACKUP),
        (b"#!::r=ev_1,u=k1.2.abc,livepath_role=primary", StreamId("ev_1", "k1.2.abc")),
        (b"#!::r=ev_1,u=k1.2.abc,livepath_roles=backup", StreamId("ev_1", "k1.2.abc")),
        (b"#!::r=ev_1,u=k1.2.abc,role=backup", StreamId("ev_1", "k1.2.abc")),
        (b"#!::r=ev_1,u=k,livepath_role=", None),
        (b"#!::r=ev_1,u=k,livepath_role=third", None),
        (b"#!::r=ev_1,u=k,livepath_role=backup,livepath_role=backup", None),
        (b"#!::r=ev_1,u=k/backup", None),
        (b"#!::u=k,livepath_role=backup", None),
        (
            LONGEST + b"x" * (512 - len(LONGEST)),
            StreamId("e" * 64, "k" * 127, Role.BACKUP),
        ),
        (LONGEST + b"x" * (513 - len(LONGEST)), None),
    ],
)
def test_both_forms(text: bytes, expected: StreamId | None) -> None:
    assert parse(text) == expected
    assert parse_in_c(text) == expected


_NEAR = st.lists(
    st.sampled_from(
        [
            b"#!::",
            b"r=",
            b"u=",
            b"m=",
            b"publish",
            b"ev_1",
            b"k.1.x",
            b",",
            b"/",
            b"=",
            b"h=x",
            b"livepath_role=",
            b"backup",
            b"primary",
            b"A",
        ]
    )
).map(b"".join)


@settings(max_examples=1000)
@given(_NEAR | st.binary(max_size=600))
def test_c_and_python_agree_on_everything(text: bytes) -> None:
    assert parse_in_c(text) == parse(text)


def test_roles_stand_in_the_order_of_srt_c() -> None:
    assert [getattr(lib, f"LP_{role.name}") for role in ROLES] == [0, 1]
