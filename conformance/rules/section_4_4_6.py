"""4.4.6: the multivariant playlist."""

from collections.abc import Iterator

from conformance.observation import Observation
from conformance.rule import Case, bad, case, good, must, no_matter, should
from conformance.rules.flaws import free_of

ROOM = 1.25
"""BANDWIDTH of a live stream is what a representative time needed."""
HIGH_FPS = 30.0

streams = free_of("4.4.6.2", "every EXT-X-STREAM-INF is followed by the URI of a media playlist")


@must("4.4.6.1", "EXT-X-MEDIA has TYPE, GROUP-ID and NAME, and a NAME is there once in its group")
def media(seen: Observation) -> Iterator[Case]:
    if seen.multivariant is None or not seen.multivariant.renditions:
        yield no_matter("there is no EXT-X-MEDIA")
        return
    names: set[tuple[str | None, str | None, str | None]] = set()
    defaults: set[tuple[str | None, str | None]] = set()
    for one in seen.multivariant.renditions:
        name = (one.get("TYPE"), one.quoted("GROUP-ID"), one.quoted("NAME"))
        words = f"EXT-X-MEDIA:{one}"
        if None in name:
            yield bad(f"{words} lacks TYPE, GROUP-ID or NAME")
        elif name in names:
            yield bad(f"{words}: its NAME is there twice")
        elif one.yes("DEFAULT") and name[:2] in defaults:
            yield bad(f"{words}: its group has another DEFAULT")
        elif one.yes("DEFAULT") and one.get("AUTOSELECT") not in (None, "YES"):
            yield bad(f"{words}: DEFAULT=YES wants AUTOSELECT=YES")
        elif (name[0] == "CLOSED-CAPTIONS") != ("INSTREAM-ID" in one):
            yield bad(f"{words}: INSTREAM-ID is for closed captions, and they need it")
        elif name[0] == "SUBTITLES" and one.quoted("URI") is None:
            yield bad(f"{words}: subtitles need a URI")
        else:
            yield good(words)
        names.add(name)
        if one.yes("DEFAULT"):
            defaults.add(name[:2])


@should("4.4.6.1-channels", "audio renditions say how many CHANNELS they have")
def channels(seen: Observation) -> Iterator[Case]:
    renditions = seen.multivariant.renditions if seen.multivariant is not None else ()
    for one in renditions:
        if one.get("TYPE") == "AUDIO":
            yield case("CHANNELS" in one, f"EXT-X-MEDIA:{one}")


@must("4.4.6.2-bandwidth", "EXT-X-STREAM-INF has a BANDWIDTH, not below AVERAGE-BANDWIDTH")
def bandwidth(seen: Observation) -> Iterator[Case]:
    if seen.multivariant is None:
        yield no_matter("the URL is a media playlist")
        return
    for variant in seen.multivariant.variants:
        most = variant.attributes.integer("BANDWIDTH")
        average = variant.attributes.integer("AVERAGE-BANDWIDTH")
        words = f"{variant.uri}: BANDWIDTH={most}, AVERAGE-BANDWIDTH={average}"
        yield case(bool(most) and (average is None or average <= (most or 0)), words)


@should("4.4.6.2-codecs", "every EXT-X-STREAM-INF has CODECS")
def described(seen: Observation) -> Iterator[Case]:
    variants = seen.multivariant.variants if seen.multivariant is not None else ()
    for variant in variants:
        kept = variant.attributes.quoted("CODECS") is not None
        yield case(kept, f"{variant.uri}: EXT-X-STREAM-INF:{variant.attributes}")


@must("4.4.6.2-groups", "a group that EXT-X-STREAM-INF names is one of EXT-X-MEDIA")
def groups(seen: Observation) -> Iterator[Case]:
    if seen.multivariant is None:
        yield no_matter("the URL is a media playlist")
        return
    known = {(one.get("TYPE"), one.quoted("GROUP-ID")) for one in seen.multivariant.renditions}
    for variant in seen.multivariant.variants:
        for kind in ("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"):
            group = variant.attributes.quoted(kind)
            if group is not None:
                yield case((kind, group) in known, f'{variant.uri}: {kind}="{group}"')


@should("4.4.6.2-peak", "BANDWIDTH is what the segments that came need")
def peak(seen: Observation) -> Iterator[Case]:
    if seen.multivariant is None:
        return
    most: dict[str, float] = {}
    for track in seen.tracks:
        lengths = {msn: segment.length for msn, segment in track.segments.items()}
        for one in track.media("segment"):
            if one.exchange.status == 200 and lengths.get(one.msn, 0.0) > 0.5:
                rate = 8 * one.exchange.size / lengths[one.msn]
                most[track.uri] = max(most.get(track.uri, 0.0), rate)
    for variant in seen.multivariant.variants:
        if variant.uri not in most:
            continue
        group = variant.attributes.quoted("AUDIO")
        audio = [
            most.get(one.quoted("URI") or "", 0.0)
            for one in seen.multivariant.renditions
            if group is not None and one.quoted("GROUP-ID") == group
            and one.quoted("URI") != variant.uri
        ]  # fmt: skip
        came = most[variant.uri] + max(audio, default=0.0)
        said = variant.attributes.integer("BANDWIDTH") or 0
        words = f"{variant.uri}: BANDWIDTH {said}, most seen {came:.0f}"
        yield case(came <= said * ROOM, words)


@should("4.4.6.2-frame-rate", "FRAME-RATE is said of video above 30 frames a second")
def frame_rate(seen: Observation) -> Iterator[Case]:
    if seen.multivariant is None:
        return
    by_uri = {track.uri: track for track in seen.tracks}
    for variant in seen.multivariant.variants:
        track = by_uri.get(variant.uri)
        for one in track.media("segment") if track is not None else ():
            inits = track.inits if track is not None else {}
            init = inits.get(one.map or "")
            pictures = {t.id for t in init.tracks if t.handler == "vide"} if init else set()
            for run in one.runs:
                if run.track in pictures and run.duration_s:
                    rate = run.samples / run.duration_s
                    if rate > HIGH_FPS * 1.01:
                        words = f"{variant.uri}: {rate:.2f} frames a second"
                        yield case("FRAME-RATE" in variant.attributes, words)
