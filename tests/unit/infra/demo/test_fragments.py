"""Samples of fragments, checked against PyAV's own demuxer."""

import contextlib
import io
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.demo.errors import MediaError
from infra.demo.fragments import samples, timescale
from tests.support.llhls import Media, make_media


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Media]:
    return make_media(Path(tmp_path_factory.mktemp("media")), 2)


@pytest.mark.parametrize("rendition", ["video", "audio"])
def test_samples_are_what_a_demuxer_finds(media: dict[str, Media], rendition: str) -> None:
    whole = media[rendition]
    with av.open(io.BytesIO(whole.init + b"".join(whole.parts))) as container:
        packets = [packet for packet in container.demux() if packet.size]
        scale = packets[0].time_base.denominator if packets[0].time_base else 0
    found = [sample for part in whole.parts for sample in samples(part)]
    assert [sample.data for sample in found] == [bytes(packet) for packet in packets]
    # PyAV applies the edit list (AAC priming); the fragments themselves do not move.
    shift = found[0].decode_time - (packets[0].dts or 0)
    assert [sample.decode_time for sample in found] == [(p.dts or 0) + shift for p in packets]
    assert timescale(whole.init) == scale


def test_init_without_a_track_is_refused() -> None:
    with pytest.raises(MediaError, match="mdhd"):
        timescale(b"\x00\x00\x00\x08free")


@given(st.data())
def test_damage_is_a_media_error(media: dict[str, Media], data: st.DataObject) -> None:
    part = bytearray(media["video"].parts[0][:400])
    for at in data.draw(st.lists(st.integers(0, len(part) - 1), max_size=6)):
        part[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaError):
        for sample in samples(bytes(part)):
            assert len(sample.data) <= len(part)
