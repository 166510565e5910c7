"""The LL-HLS URL in players that are not ours."""

import subprocess
from typing import Any

import av
import httpx2
import imageio_ffmpeg
import pytest

from infra.demo import barcode
from infra.demo.decoding import luma
from tests.e2e.conftest import Studio, until


def test_ffmpeg_plays_the_url(on_air: dict[str, Any]) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", on_air["playback"]["hls_url"]]
    done = subprocess.run(
        [*command, "-t", "3", "-f", "framecrc", "-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    streams = [line.split(",")[0] for line in done.stdout.splitlines() if line[:1].isdigit()]
    assert streams.count("0") + streams.count("1") == len(streams)
    assert streams.count("0") >= 80
    assert streams.count("1") >= 80


def test_pyav_reads_consecutive_frames_and_sound(on_air: dict[str, Any]) -> None:
    with av.open(on_air["playback"]["hls_url"], timeout=30) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        indices: list[int] = []
        samples = 0
        for packet in container.demux(video, audio):
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    stamp = barcode.read(luma(frame))
                    assert stamp is not None
                    indices.append(stamp.index)
                else:
                    samples += frame.samples
            if len(indices) >= 60 and samples >= 48_000:
                break
    assert indices == list(range(indices[0], indices[0] + len(indices)))


@pytest.mark.parametrize("path", ["index.m3u8", "video.m3u8", "audio.m3u8"])
def test_token_event_needs_its_token_for_every_url(
    studio: Studio, ticketed: dict[str, Any], path: str
) -> None:
    ticket = studio.call("POST", f"/v1/events/{ticketed['id']}/tokens")
    bare = ticketed["playback"]["hls_url"].replace("index.m3u8", path)
    with_token = ticket["hls_url"].replace("index.m3u8", path)
    assert httpx2.get(bare, trust_env=False).status_code == 401
    assert httpx2.get(with_token, trust_env=False).status_code == 200


def test_token_of_one_event_does_not_open_another(
    studio: Studio, ticketed: dict[str, Any], on_air: dict[str, Any]
) -> None:
    other = studio.call("POST", f"/v1/events/{on_air['id']}/tokens")["token"]
    ticket = studio.call("POST", f"/v1/events/{ticketed['id']}/tokens")
    url = ticket["hls_url"].replace(ticket["token"], other)
    assert httpx2.get(url, trust_env=False).status_code == 403


def test_a_viewer_who_is_called_back_sees_no_more(studio: Studio, ticketed: dict[str, Any]) -> None:
    path = f"/v1/events/{ticketed['id']}"
    gone, stays = (studio.call("POST", f"{path}/tokens", subject=who) for who in ("ada", "bob"))

    def statuses(ticket: dict[str, Any]) -> tuple[int, int]:
        joins = httpx2.post(ticket["whep_url"], trust_env=False)
        return httpx2.get(ticket["hls_url"], trust_env=False).status_code, joins.status_code

    before = statuses(gone)
    assert before[0] == 200
    studio.call("POST", f"{path}/revocations", subject="ada")
    until("she gets no playlist and may not join", lambda: statuses(gone) == (401, 401))
    assert statuses(stays) == before
    again = studio.call("POST", f"{path}/tokens", subject="ada")
    assert statuses(again) == before


def test_a_viewer_whose_tier_changes_watches_the_other_way(
    studio: Studio, ticketed: dict[str, Any]
) -> None:
    path = f"/v1/events/{ticketed['id']}"
    ada, bob = (studio.call("POST", f"{path}/tokens", subject=who) for who in ("ada", "bob"))

    def statuses(ticket: dict[str, Any]) -> tuple[int, int]:
        joins = httpx2.post(ticket["whep_url"], trust_env=False)
        return httpx2.get(ticket["hls_url"], trust_env=False).status_code, joins.status_code

    before = statuses(ada)
    assert before[0] == 200
    assert before[1] != 403  # what it sends is no offer
    for tier, expected in (
        ("broadcast", (200, 403)),
        ("backstage", (403, before[1])),
        ("interactive", before),
    ):
        studio.call("POST", f"{path}/tier-changes", subject="ada", tier=tier)
        until(f"her tier is {tier}", lambda wanted=expected: statuses(ada) == wanted)
        assert statuses(bob) == before
