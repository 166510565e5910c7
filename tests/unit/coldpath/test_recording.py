"""Runs, pieces and playlists of recordings that never were encoded: manifests only."""

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldpath.media import vod
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import Recording, content_id, narrowed, recording
from infra.manifest import RenditionEntry, SegmentEntry, SessionManifest
from tests.support.m3u8 import attributes

V, A = 90_000, 48_000


def entry(msn: int, scale: int, *, init: int = 0, seq: int = 0) -> SegmentEntry:
    return SegmentEntry(
        msn=msn,
        init=init,
        start=msn * 2 * scale,
        duration=2 * scale,
        bytes=1_000,
        samples=50,
        discontinuity_seq=seq,
        independent=True,
        pdt_ns=1_700_000_000_000_000_000 + msn * 2_000_000_000,
    )


def manifest(
    video: list[SegmentEntry], audio: list[SegmentEntry], incarnation: str = "i1"
) -> SessionManifest:
    renditions = (
        RenditionEntry(
            name="video",
            kind="video",
            codecs=("avc1.42c01f",),
            timescale=V,
            inits=1,
            width=1280,
            height=720,
            segments=tuple(video),
        ),
        RenditionEntry(
            name="audio",
            kind="audio",
            codecs=("mp4a.40.2",),
            timescale=A,
            inits=1,
            channels=2,
            segments=tuple(audio),
        ),
    )
    return SessionManifest(
        project="p",
        event="e",
        feed="main",
        incarnation=incarnation,
        final=True,
        started_ns=0,
        ended_ns=1,
        target_duration_s=2,
        renditions=renditions,
    )


def with_ladder(
    source: SessionManifest, rungs: dict[str, list[SegmentEntry]], *, before: bool = False
) -> SessionManifest:
    """The source's manifest with more video renditions, behind its own or before them."""
    ladder = tuple(
        RenditionEntry(
            name=name, kind="video", codecs=("avc1.42c01e",), timescale=V, inits=1,
            width=640, height=360, segments=tuple(segments),
        )
        for name, segments in rungs.items()
    )  # fmt: skip
    renditions = ladder + source.renditions if before else source.renditions + ladder
    return source.model_copy(update={"renditions": renditions})


def both(msns: list[int], **changes: Any) -> tuple[list[SegmentEntry], list[SegmentEntry]]:
    return [entry(n, V, **changes) for n in msns], [entry(n, A, **changes) for n in msns]


def uris(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


class TestRuns:
    def test_consecutive_segments_are_one_run(self) -> None:
        found = recording([manifest(*both([4, 5, 6]))])
        assert [run.msns for run in found.runs] == [[4, 5, 6]]

    def test_a_hole_in_all_renditions_ends_a_run_and_one_in_a_single_does_not(self) -> None:
        video, audio = both([0, 1, 3, 4])
        found = recording([manifest(video, [a for a in audio if a.msn != 4])])
        assert [run.msns for run in found.runs] == [[0, 1], [3, 4]]
        assert [s.entry.msn for s in found.runs[1].of("audio")] == [3]

    def test_discontinuity_init_and_incarnation_end_a_run(self) -> None:
        video, audio = both([0])
        more = (*both([1], seq=1), *both([2], seq=1, init=1))
        first = manifest(video + more[0] + more[2], audio + more[1] + more[3])
        found = recording([first, manifest(*both([3], seq=1), "i2")])
        assert [(r.incarnation, r.msns) for r in found.runs] == [
            ("i1", [0]),
            ("i1", [1]),
            ("i1", [2]),
            ("i2", [3]),
        ]

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), max_size=12))
    def test_every_segment_is_in_exactly_one_run(
        self, present: list[tuple[bool, bool, int]]
    ) -> None:
        video = [entry(n, V, init=i) for n, (v, _, i) in enumerate(present) if v]
        audio = [entry(n, A) for n, (_, a, _) in enumerate(present) if a]
        found = recording([manifest(video, audio)])
        for name, entries in (("video", video), ("audio", audio)):
            assert [s.entry for run in found.runs for s in run.of(name)] == entries
        texts = vod.playlists(found, "c")
        listed = {len(re.findall("#EXTINF", t)) for n, t in texts.items() if n != vod.MULTIVARIANT}
        breaks = {
            t.count("#EXT-X-DISCONTINUITY\n") for n, t in texts.items() if n != vod.MULTIVARIANT
        }
        assert len(listed) <= 1
        assert len(breaks) <= 1


class TestPieces:
    def test_the_same_init_bytes_in_another_incarnation_are_the_same_piece(self) -> None:
        found = recording([manifest(*both([0])), manifest(*both([1], seq=1), "i2")])
        assert [len(p.runs) for p in pieces(found, dict.fromkeys(init_keys(found), b"x"))] == [2]

    def test_another_init_is_another_piece(self) -> None:
        found = recording([manifest(*both([0])), manifest(*both([1], seq=1), "i2")])
        inits = {key: (b"y" if "/i2/video/" in key else b"x") for key in init_keys(found)}
        made = pieces(found, inits)
        assert [p.name for p in made] == ["archive.mp4", "archive-1.mp4"]
        assert [p.duration(archived(found)) for p in made] == [2, 2]

    def test_sound_that_joins_later_stays_in_the_piece(self) -> None:
        video, audio = both([0, 1])
        found = recording([manifest(video[:1], []), manifest(video[1:], audio[1:], "i2")])
        (piece,) = pieces(found, dict.fromkeys(init_keys(found), b"x"))
        assert set(piece.inits) == {"video", "audio"}
        assert piece.samples(archived(found)[1]) == 50


class TestPlaylists:
    def playlist(self, found: Recording, name: str = "video") -> str:
        return vod.playlists(found, "c")[f"{name}.m3u8"]

    def test_segments_are_named_relative_to_the_playlist(self) -> None:
        text = self.playlist(recording([manifest(*both([7]))]))
        assert uris(text) == ["../../../../../live/p/e/main/i1/video/s7.m4s"]
        assert '#EXT-X-MAP:URI="../../../../../live/p/e/main/i1/video/init-0.mp4"' in text
        assert text.startswith("#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:2\n")
        assert text.endswith("#EXT-X-ENDLIST\n")
        assert "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:34.000Z\n#EXTINF:2.000000,\n" in text

    def test_a_restart_is_a_discontinuity_with_a_new_map(self) -> None:
        found = recording([manifest(*both([0])), manifest(*both([64], seq=1), "i2")])
        text = self.playlist(found)
        again = text.index('#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="../../../../../live/p/e/main/i2/')
        assert again > text.index("i1/video/s0.m4s")

    def test_what_one_rendition_lacks_is_a_gap_in_it(self) -> None:
        video, audio = both([0, 1, 2])
        found = recording([manifest(video, [audio[0], audio[2]])])
        assert "#EXT-X-GAP\n#EXTINF:2.000000,\n" in self.playlist(found, "audio")
        assert "#EXT-X-GAP" not in self.playlist(found)
        assert vod.duration(found) == Fraction(6)

    def test_the_multivariant_names_codecs_size_and_sound(self) -> None:
        text = vod.playlists(recording([manifest(*both([0]))]), "c")[vod.MULTIVARIANT]
        assert uris(text) == ["video.m3u8"]
        assert 'CODECS="avc1.42c01f,mp4a.40.2",RESOLUTION=1280x720,AUDIO="audio"' in text
        assert "BANDWIDTH=8000,AVERAGE-BANDWIDTH=8000," in text
        assert 'URI="audio.m3u8"' in text

    @pytest.mark.parametrize("kind", ["video", "audio"])
    def test_a_programme_of_one_kind(self, kind: str) -> None:
        video, audio = both([0])
        only = manifest(video, []) if kind == "video" else manifest([], audio)
        texts = vod.playlists(recording([only]), "c")
        assert set(texts) == {f"{kind}.m3u8", vod.MULTIVARIANT}
        assert uris(texts[vod.MULTIVARIANT]) == [f"{kind}.m3u8"]
        assert "AUDIO=" not in texts[vod.MULTIVARIANT]


def test_the_content_id_depends_on_every_manifest_and_their_order() -> None:
    ids = {content_id(m) for m in ([b"a"], [b"a", b"b"], [b"b", b"a"], [b"ab"])}
    assert len(ids) == 4
    assert content_id([b"a"]) == content_id([b"a"])


class TestLadder:
    @pytest.mark.parametrize("before", [False, True])
    def test_an_archive_holds_the_source(self, before: bool) -> None:
        rungs = {"720p": [entry(n, V) for n in range(3)], "360p": [entry(n, V) for n in range(3)]}
        found = recording([with_ladder(manifest(*both([0, 1, 2])), rungs, before=before)])
        assert [r.name for r in archived(found)] == ["video", "audio"]
        assert all("/video/" in key or "/audio/" in key for key in init_keys(found))

    def test_a_rung_that_starts_again_divides_nothing(self) -> None:
        rung = [entry(0, V), entry(2, V, init=1), entry(3, V, init=1)]
        found = recording([with_ladder(manifest(*both([0, 1, 2, 3])), {"360p": rung})])
        assert [run.msns for run in found.runs] == [[0, 1, 2, 3]]
        inits = dict.fromkeys(init_keys(found), b"the same")
        assert [piece.name for piece in pieces(found, inits)] == ["archive.mp4"]

    def test_what_only_a_rung_has_is_no_part_of_the_mp4(self) -> None:
        video, audio = both([0, 1, 2])
        lacking = manifest([v for v in video if v.msn != 1], [a for a in audio if a.msn != 1])
        found = recording([with_ladder(lacking, {"360p": [entry(n, V) for n in range(3)]})])
        assert [run.msns for run in found.runs] == [[0, 1, 2]]
        (piece,) = pieces(found, dict.fromkeys(init_keys(found), b"the same"))
        assert [piece.samples(r) for r in archived(found)] == [100, 100]

    def test_playlists_list_every_rung_with_the_sources_sound(self) -> None:
        rungs = {"720p": [entry(n, V) for n in range(3)], "360p": [entry(1, V)]}
        found = recording([with_ladder(manifest(*both([0, 1, 2])), rungs)])
        texts = vod.playlists(found, "c0ffee")
        assert uris(texts[vod.MULTIVARIANT]) == ["video.m3u8", "720p.m3u8", "360p.m3u8"]
        assert texts[vod.MULTIVARIANT].count('AUDIO="audio"') == 3
        assert len(uris(texts["360p.m3u8"])) == 3
        assert texts["360p.m3u8"].count("#EXT-X-GAP") == 2

    def test_a_rung_alone_is_where_it_was_recorded_with_one_init_section_at_a_time(self) -> None:
        rung = [entry(0, V), entry(1, V), entry(3, V), entry(4, V, init=1)]
        whole = recording([with_ladder(manifest(*both(list(range(6)))), {"360p": rung})])
        found = narrowed(whole, "360p")
        assert [r.name for r in archived(found)] == ["360p", "audio"]
        assert [run.msns for run in found.runs] == [[0, 1], [3], [4]]
        assert [[s.entry.msn for s in run.of("audio")] for run in found.runs] == [[0, 1], [3], [4]]
        inits = {key: key.encode() for key in init_keys(found)}
        made = pieces(found, inits, "360p")
        assert [(p.name, len(p.runs)) for p in made] == [("360p.mp4", 2), ("360p-1.mp4", 1)]

    def test_a_sound_alone_has_no_picture(self) -> None:
        found = narrowed(recording([manifest(*both([0, 1]))]), "audio")
        assert [r.name for r in archived(found)] == ["audio"]
        assert [sorted(run.segments) for run in found.runs] == [["audio"]]


def with_sounds(source: SessionManifest, *languages: str, first: bool = False) -> SessionManifest:
    """The source's sound again under further names, behind it or before it."""
    audio = source.renditions[1]
    further = tuple(
        audio.model_copy(update={"name": f"audio-{number}", "language": language})
        for number, language in enumerate(languages, 2)
    )
    renditions = (*further, *source.renditions) if first else (*source.renditions, *further)
    return source.model_copy(update={"renditions": renditions})


class TestSounds:
    @pytest.mark.parametrize("first", [False, True])
    def test_all_are_listed_with_their_language(self, first: bool) -> None:
        found = recording([with_sounds(manifest(*both([0, 1])), "de", "", first=first)])
        texts = vod.playlists(found, "c0ffee")
        media = [line for line in texts[vod.MULTIVARIANT].splitlines() if "EXT-X-MEDIA:" in line]
        assert [attributes(line)["URI"] for line in media] == [
            "audio.m3u8", "audio-2.m3u8", "audio-3.m3u8"
        ]  # fmt: skip
        assert [attributes(line)["DEFAULT"] for line in media] == ["YES", "NO", "NO"]
        assert [attributes(line)["NAME"] for line in media] == ["Audio 1", "German", "Audio 3"]
        assert [attributes(line).get("LANGUAGE") for line in media] == [None, "de", None]
        assert uris(texts["audio-2.m3u8"]) == [
            uri.replace("/audio/", "/audio-2/") for uri in uris(texts["audio.m3u8"])
        ]

    @pytest.mark.parametrize("first", [False, True])
    def test_an_archive_holds_the_first(self, first: bool) -> None:
        found = recording([with_sounds(manifest(*both([0])), "de", first=first)])
        assert [r.name for r in archived(found)] == ["video", "audio"]

    def test_a_variant_needs_the_largest_of_them_and_every_codec(self) -> None:
        whole = with_sounds(manifest(*both([0])), "de")
        german = whole.renditions[2]
        larger = german.segments[0].model_copy(update={"bytes": 2_000})
        changed = german.model_copy(update={"segments": (larger,), "codecs": ("mp4a.40.5",)})
        sounds = whole.model_copy(update={"renditions": (*whole.renditions[:2], changed)})
        text = vod.playlists(recording([sounds]), "c")[vod.MULTIVARIANT]
        assert "BANDWIDTH=12000,AVERAGE-BANDWIDTH=12000," in text
        assert 'CODECS="avc1.42c01f,mp4a.40.2,mp4a.40.5"' in text

    def test_one_that_stopped_has_gaps_and_divides_nothing(self) -> None:
        whole = with_sounds(manifest(*both([0, 1, 2])), "de")
        german = whole.renditions[2]
        stopped = german.model_copy(update={"segments": (german.segments[0], german.segments[2])})
        found = recording(
            [whole.model_copy(update={"renditions": (*whole.renditions[:2], stopped)})]
        )
        assert [run.msns for run in found.runs] == [[0, 1, 2]]
        texts = vod.playlists(found, "c")
        gaps = [texts[name].count("#EXT-X-GAP") for name in ("audio.m3u8", "audio-2.m3u8")]
        assert gaps == [0, 1]

    def test_sounds_without_a_picture_are_one_variant_of_the_first(self) -> None:
        whole = with_sounds(manifest([], both([0])[1]), "de")
        text = vod.playlists(recording([whole]), "c")[vod.MULTIVARIANT]
        assert uris(text) == ["audio.m3u8"]
        assert text.count("#EXT-X-MEDIA:") == 2

    def test_the_language_is_that_of_the_latest_incarnation(self) -> None:
        unknown = with_sounds(manifest(*both([0])), "")
        known = with_sounds(manifest(*both([1], seq=1), "i2"), "de")
        named = {r.name: r.language for r in recording([unknown, known]).renditions}
        assert named == {"video": "", "audio": "", "audio-2": "de"}
