"""What a worker tells over a real bus is on a real media node's captions, and garbage is not."""

from pathlib import Path

import pytest

from infra.captions_group import PLAYLIST
from infra.events.captions import CHANNEL, HeardCue, HeardWindow, encoded
from tests.support.medianode import MediaProcess, encoding, event, key_of, srt_url
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


def test_what_is_heard_is_shown(tmp_path: Path) -> None:
    one = event()
    key = key_of(one)
    with (
        ValkeyServer(tmp_path) as bus,
        MediaProcess(tmp_path / "data", bus_url=bus.url, live_captions="true") as media,
        bus.client() as client,
    ):
        media.want(one)
        media.start()
        with encoding(srt_url(media, one)):
            first = media.until(key, lambda playlist: len(playlist.segments) >= 1, "captions")
            assert first.segments[0].uri is not None
            incarnation = first.segments[0].uri.partition("/")[0]
            assert first.segments[0].date is not None
            from_ms = round(first.segments[0].date.timestamp() * 1000)
            cue = HeardCue(from_ms + 2_500, from_ms + 3_500, "hello & <goodbye>")
            window = HeardWindow(
                key.project,
                key.event,
                key.feed,
                incarnation,
                "en",
                from_ms,
                from_ms + 6_100,
                (cue,),
            )
            told = [b"\xff{", b"{}", encoded(window)[:-9], encoded(window)]

            def listed() -> bool:
                for message in told:
                    client.publish(CHANNEL, message)
                return True

            found = media.until(key, lambda p: listed() and len(p.segments) >= 3, "captions")
            beside = media.playlist(key)
        assert beside is not None
        assert [s.date for s in found.segments[:3]] == [s.date for s in beside.segments[:3]]
        files = [media.file(key, segment.uri or "").decode() for segment in found.segments[:3]]
        assert ["hello &amp; &lt;goodbye&gt;" in file for file in files] == [False, True, False]
        multivariant = media.get(f"/live/{key}/index-captions.m3u8").text
        assert f'URI="{PLAYLIST}"' in multivariant
        assert 'LANGUAGE="en"' in multivariant
        unreadable = media.get("/metrics").text.partition("\nlivepath_captions_unreadable_total ")[
            2
        ]
        assert float(unreadable.split()[0]) >= 3
        assert media.troubles() == []
