"""Which elementary streams of a publisher become tracks, and what is said about the others.

Invariant: a layout has at most one picture and four sounds, and a sound keeps its name for as long
as its PID is there, so that a player's choice of language stays that language. The first sound may
have any codec that is carried; further ones are AAC, which needs no bridge. Pure.

Upstream: the programme maps of `hotpath.media.ts`. Downstream: `hotpath.ingest.session`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hotpath.media.psi import ProgramMap, StreamEntry
from hotpath.media.streams import codec_of, foreign_audio, foreign_video
from hotpath.media.unit import AUDIO, FURTHER_AUDIO, VIDEO, Codec

_SOUNDS = (AUDIO, *FURTHER_AUDIO)


@dataclass(frozen=True, slots=True)
class Chosen:
    """An elementary stream that is carried, and the track that it is."""

    track: str
    entry: StreamEntry
    codec: Codec


@dataclass(frozen=True, slots=True)
class Layout:
    chosen: tuple[Chosen, ...]
    """In the order of the map."""
    convert: str
    """The audio codec that the fallback has to convert; empty where it has nothing to do."""
    remarks: tuple[tuple[str, str], ...]
    """(code, words) about what is left out; each code once."""


def layout(found: ProgramMap, names: Mapping[int, str]) -> Layout:
    """`names`: the tracks so far, by PID."""
    carried = [(entry, codec) for entry in found.streams if (codec := codec_of(entry))]
    pictures = [(entry, codec) for entry, codec in carried if codec.kind == "video"]
    sounds = [(entry, codec) for entry, codec in carried if codec.kind == "audio"]
    tracks = _name_sounds(sounds, names)
    tracks.update((entry.pid, VIDEO) for entry, _ in pictures[:1])
    foreign = [name for entry in found.streams if (name := foreign_audio(entry))]
    return Layout(
        tuple(Chosen(tracks[e.pid], e, codec) for e, codec in carried if e.pid in tracks),
        foreign[0] if foreign and not sounds else "",
        tuple(_remarks(found, pictures, sounds, tracks, foreign)),
    )


_Streams = list[tuple[StreamEntry, Codec]]


def _name_sounds(sounds: _Streams, names: Mapping[int, str]) -> dict[int, str]:
    """By PID: the name that a stream has already, else the first that is free."""

    def fits(name: str, codec: Codec) -> bool:
        return name == AUDIO or (name in FURTHER_AUDIO and codec is Codec.AAC)

    kept = {e.pid: names[e.pid] for e, codec in sounds if fits(names.get(e.pid, ""), codec)}
    free = [name for name in _SOUNDS if name not in kept.values()]
    for entry, codec in sounds:
        if entry.pid not in kept and free and fits(free[0], codec):
            kept[entry.pid] = free.pop(0)
    return kept


def _remarks(
    found: ProgramMap,
    pictures: _Streams,
    sounds: _Streams,
    tracks: Mapping[int, str],
    foreign: list[str],
) -> Iterator[tuple[str, str]]:
    foreign_pictures = [name for entry in found.streams if (name := foreign_video(entry))]
    if foreign_pictures and not pictures:
        yield "video-codec", f"The video is {foreign_pictures[0]}: send H.264."
    if foreign and not sounds:
        yield (
            "audio-codec",
            f"The audio is {foreign[0]} and is converted: send AAC to save a step.",
        )
    if len(pictures) > 1:
        yield "extra-video", f"{_more(len(pictures) - 1, 'video')}: only the first is used."
    if not any((pictures, sounds, foreign_pictures, foreign)):
        yield "no-media", "The stream declares no audio and no video."
    left_out = [codec for entry, codec in sounds if entry.pid not in tracks]
    beyond = sum(codec is Codec.AAC for codec in left_out)
    if beyond:
        yield "extra-audio", f"{_more(beyond, 'audio')}: {len(_SOUNDS)} can be sent."
    others = [codec.value.capitalize() for codec in left_out if codec is not Codec.AAC]
    others += foreign if sounds else foreign[1:]
    if others:
        kinds = ", ".join(dict.fromkeys(others))
        yield "unused-audio", f"{_more(len(others), 'audio')} ({kinds}): send AAC."


def _more(count: int, kind: str) -> str:
    return f"{count} more {kind} track{'s are' if count > 1 else ' is'} left out"
