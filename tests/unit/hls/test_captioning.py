"""Live captions as the origin serves them, beside a presentation that knows nothing of them."""

import asyncio
from dataclasses import replace
from pathlib import Path

from hotpath.hls.vault import Vault
from infra.events.captions import HeardCue, HeardWindow
from infra.storage.memory import MemoryObjectStore
from tests.support.m3u8 import attributes, parse
from tests.support.made_up import KEY, LIVE, START_NS, VIDEO, MadeUp

START_MS = START_NS // 1_000_000
INDEX = f"{LIVE}index.m3u8"
WITH_CAPTIONS = f"{LIVE}index-captions.m3u8"
PLAYLIST = f"{LIVE}captions.m3u8"


def window(from_ms: int, until_ms: int, text: str) -> HeardWindow:
    cue = HeardCue(START_MS + from_ms, START_MS + until_ms, text)
    return HeardWindow(
        KEY.project,
        KEY.event,
        KEY.feed,
        "k1",
        "en",
        START_MS + from_ms,
        START_MS + until_ms,
        (cue,),
    )


def programme(segments: int = 4) -> MadeUp:
    made = MadeUp(captions=True)
    for msn in range(segments):
        made.segment(msn)
    return made


async def test_they_are_offered_beside_the_low_latency_presentation() -> None:
    made = programme()
    plain, more = (await made.ask(INDEX)).body.decode(), await made.ask(WITH_CAPTIONS)
    assert "SUBTITLES" not in plain
    assert more.status == 200
    text = more.body.decode()
    (named,) = [attributes(line) for line in text.splitlines() if "TYPE=SUBTITLES" in line]
    assert (named["URI"], named["GROUP-ID"]) == ("captions.m3u8", "captions")
    variants = [line for line in text.splitlines() if line.startswith("#EXT-X-STREAM-INF")]
    assert len(variants) == plain.count("#EXT-X-STREAM-INF")
    assert all(attributes(line)["SUBTITLES"] == "captions" for line in variants)
    # Without them it is what the other one says.
    lines = [line for line in text.splitlines() if "TYPE=SUBTITLES" not in line]
    assert "\n".join(lines).replace(',SUBTITLES="captions"', "") + "\n" == plain
    made.origin.hear(window(0, 2000, "hello"))
    assert 'LANGUAGE="en"' in (await made.ask(WITH_CAPTIONS)).body.decode()


async def test_who_comes_before_the_first_segment_waits_for_it() -> None:
    made = MadeUp(captions=True)
    early = [asyncio.create_task(made.ask(url)) for url in (WITH_CAPTIONS, PLAYLIST)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in early)
    made.segment(0)
    assert [(await task).status for task in early] == [200, 200]


async def test_what_was_heard_is_listed_and_can_be_had() -> None:
    made = programme()
    assert [s.msn for s in parse((await made.ask(PLAYLIST)).body.decode()).segments] == [0]
    made.origin.hear(window(2000, 6000, "hello"))
    response = await made.ask(PLAYLIST)
    assert response.headers["cache-control"] == "public, max-age=1"
    found = parse(response.body.decode())
    assert [segment.msn for segment in found.segments] == [0, 1, 2]
    assert found.segments[1].date == parse(
        (await made.ask(f"{LIVE}{VIDEO}.m3u8")).body.decode()
    ).segments[1].date  # fmt: skip
    file = await made.ask(f"{LIVE}{found.segments[1].uri}")
    assert file.headers["content-type"] == "text/vtt"
    assert "00:00:02.000 --> 00:00:06.000\nhello" in file.body.decode()


async def test_files_are_kept_while_players_may_ask_for_them() -> None:
    made = programme(1)
    uri = f"{LIVE}k1/captions/s0.vtt"
    for msn in range(1, 20):
        made.segment(msn)
        made.origin.hear(window(msn * 2000, (msn + 1) * 2000, "hello"))
        assert (await made.ask(uri)).status == 200
    found = parse((await made.ask(PLAYLIST)).body.decode())
    assert found.segments[0].msn == 10
    for msn in range(20, 60):
        made.segment(msn)
    assert (await made.ask(uri)).status == 404


async def test_a_window_of_many_hours_does_not_keep_them_for_a_day(tmp_path: Path) -> None:
    """They are listed for an hour at most, so two of those are enough."""
    vault = Vault(tmp_path, MemoryObjectStore)
    made = MadeUp((VIDEO,), captions=True, dvr_window_s=12 * 3600, vault=vault)
    made.segment(0, (VIDEO,))
    uri = f"{LIVE}k1/captions/s0.vtt"
    age = (await made.ask(uri)).headers["cache-control"].split(", ")[1]
    assert 2 * 3600 <= int(age.removeprefix("max-age=")) < 2 * 3600 + 5
    vault.close()


async def test_a_gap_is_a_segment_of_theirs_too() -> None:
    made = programme(2)
    for track in made.tracks:
        made.gap(track, 2)
    made.segment(3)
    made.origin.hear(window(0, 9000, "hello"))
    found = parse((await made.ask(PLAYLIST)).body.decode())
    assert [segment.msn for segment in found.segments] == [0, 1, 2, 3]
    assert not any(segment.gap for segment in found.segments)


async def test_the_end_is_theirs_too() -> None:
    made = programme()
    made.live.end(final=True)
    text = (await made.ask(PLAYLIST)).body.decode()
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert len(parse(text).segments) == 4


async def test_another_incarnations_words_are_nobodys() -> None:
    made = programme()
    for other in ({"incarnation": "k0"}, {"event": "ev_2"}, {"project": "other"}):
        made.origin.hear(replace(window(0, 9000, "hello"), **other))
    assert [s.msn for s in parse((await made.ask(PLAYLIST)).body.decode()).segments] == [0]


async def test_nothing_is_offered_where_nobody_listens() -> None:
    made = MadeUp()
    made.segment(0)
    made.origin.hear(window(0, 9000, "hello"))
    for url in (PLAYLIST, WITH_CAPTIONS, f"{LIVE}k1/captions/s0.vtt"):
        assert (await made.ask(url)).status == 404
