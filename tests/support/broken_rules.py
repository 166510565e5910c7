"""For each rule of the checker: what a server does that breaks it, and what brings it up."""

from dataclasses import replace
from typing import Any

from tests.support.observed import answers, files, media_headers, swap, versions, without_header
from tests.support.spoiled import (
    DATERANGE,
    KEY,
    SEQUENCE,
    START,
    after_the_end,
    expired_early,
    fetched_again,
    fewer,
    held,
    late_audio,
    later,
    lines_gone,
    longer,
    no_delta,
    nothing_between,
    of_audio,
    old_dates,
    reversed_order,
    shifted,
    synced,
    unsynced,
    with_line,
    with_probe,
)

EXTINF, PART = "#EXTINF:2.000,", "#EXT-X-PART:DURATION=0.5,"

BROKEN: dict[str, dict[str, Any]] = {
    "4.1": {"edit": with_line("#\x00\n")},
    "4.2": {"edit": swap("PART-TARGET=0.5", "PART-TARGET=0.5,,X")},
    "4.4.1.1": {"edit": swap("#EXTM3U\n", "\n#EXTM3U\n")},
    "4.4.1.2": {"edit": with_line("#EXT-X-VERSION:10\n")},
    "4.4.2": {"edit": with_line(START + START)},
    "4.4.1.2-enough": {"edit": swap("VERSION:10", "VERSION:5")},
    "6.2.1-version": {"edit": swap("VERSION:10", "VERSION:11")},
    "4.4.2.1": {
        "index": lambda text: text + "#EXT-X-INDEPENDENT-SEGMENTS\n",
        "change": files("segment", runs=unsynced),
    },
    "4.4.2.2": {"edit": with_line("#EXT-X-START:PRECISE=YES\n")},
    "4.4.2.2-live": {
        "edit": with_line("#EXT-X-START:TIME-OFFSET=-2\n"),
        "change": versions(lambda one: None if one.playlist.ended else one),
    },
    "4.4.3": {"edit": with_line("#EXT-X-TARGETDURATION:2\n")},
    "4.4.3.1": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:two")},
    "4.4.3.2": {"edit": swap("#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ENDLIST")},
    "4.4.3.3": {"edit": swap("#EXT-X-DISCONTINUITY-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:x")},
    "4.4.3.7": {"edit": swap("#EXT-X-PART-INF:PART-TARGET=0.5\n", "")},
    "4.4.3.1-extinf": {"edit": swap(EXTINF, "#EXTINF:2.500,")},
    "4.4.3.4": {"change": after_the_end},
    "4.4.3.8-skip": {"edit": swap("CAN-SKIP-UNTIL=12", "CAN-SKIP-UNTIL=11.9")},
    "4.4.3.8-skip-dateranges": {"edit": swap("CAN-SKIP-UNTIL=12,", "")},
    "4.4.3.8-hold-back": {"edit": swap(",HOLD-BACK=6,", ",HOLD-BACK=5,")},
    "4.4.3.8-part-hold-back": {"edit": swap("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=0.9")},
    "4.4.3.8-part-hold-back-3": {"edit": swap("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.2")},
    "4.4.3.8-yes": {"edit": swap("CAN-BLOCK-RELOAD=YES", "CAN-BLOCK-RELOAD=TRUE")},
    "4.4.4": {"edit": with_line("#EXT-X-STREAM-INF:BANDWIDTH=1\n")},
    "4.4.4.1": {"edit": swap(EXTINF, "#EXTINF:two,")},
    "4.4.4.4": {"edit": with_line("#EXT-X-KEY:METHOD=AES-128\n")},
    "4.4.4.5": {"edit": swap("#EXT-X-MAP:URI=", "#EXT-X-MAP:URL=")},
    "4.4.4.6": {"edit": swap("DATE-TIME:2023", "DATE-TIME:MMXXIII")},
    "4.4.4.6-zone": {"edit": swap("Z\n", "\n")},
    "4.4.4.9": {"edit": swap(PART, "#EXT-X-PART:")},
    "4.4.4.5-map": {"edit": swap("#EXT-X-MAP:", "#EXT-X-MAPS:")},
    "4.4.4.9-longest": {"edit": swap(PART, "#EXT-X-PART:DURATION=0.501,")},
    "4.4.4.9-shortest": {"edit": swap('0.5,URI="video-5.1', '0.42,URI="video-5.1')},
    "4.4.4.9-sum": {"edit": swap(EXTINF, "#EXTINF:1.900,")},
    "4.4.4.9-bytes": {"change": files("part", runs=longer)},
    "4.4.4.9-independent": {"change": files("part", runs=unsynced)},
    "4.4.4.9-independent-all": {"change": files("hint", runs=synced)},
    "3.2": {"change": files("segment", runs=fewer)},
    "4.4.4.1-exact": {"change": files("segment", runs=longer)},
    "4.4.4.3-time": {"change": files("segment", runs=later)},
    "4.4.4.3-tracks": {"edit": swap("#EXT-X-DISCONTINUITY\n", "")},
    "4.4.4-readable": {"change": files("part", unreadable="a box is cut off", runs=())},
    "4.4.5.2": {"edit": with_line("#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n" * 2)},
    "4.4.5.3": {"edit": swap("HINT:TYPE=PART,", "HINT:")},
    "4.4.5.1": {"edit": swap("DURATION=4\n", 'END-DATE="2020-01-01T00:00:00.000Z"\n')},
    "4.4.5.1-same": {"edit": swap("DURATION=4\n", "DURATION=5\n", only="audio")},
    "4.4.5.1-date-time": {"edit": swap("#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATE")},
    "4.4.5.3-ended": {
        "edit": swap("#EXT-X-ENDLIST", '#EXT-X-ENDLIST\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="x"')
    },
    "4.4.5.3-uri": {"edit": swap('TYPE=PART,URI="', 'TYPE=PART,URI="x')},
    "4.4.5.4": {"edit": swap("REPORT:URI=", "REPORT:URL=")},
    "4.4.5.4-current": {"edit": swap("LAST-MSN=7,", "LAST-MSN=5,")},
    "4.4.6.2": {"index": lambda text: text.replace("\nvideo.m3u8", "")},
    "4.4.6.1": {"index": lambda text: text.replace(',NAME="main"', "")},
    "4.4.6.1-channels": {"index": lambda text: text.replace(',CHANNELS="2"', "")},
    "4.4.6.2-bandwidth": {
        "index": lambda text: text.replace("AVERAGE-BANDWIDTH=1", "AVERAGE-BANDWIDTH=3")
    },
    "4.4.6.2-codecs": {"index": lambda text: text.replace("CODECS=", "X-CODECS=")},
    "4.4.6.2-groups": {"index": lambda text: text.replace('AUDIO="a"', 'AUDIO="b"')},
    "4.4.6.2-peak": {"change": files("segment", size=1_000_000)},
    "4.4.6.2-frame-rate": {"index": lambda text: text.replace(",FRAME-RATE=60.000", "")},
    "6.2.1-segment-available": {"change": files("segment", status=404)},
    "6.2.1-part-available": {"change": files("part", head_s=99.0)},
    "6.2.1-init-available": {"change": files("init", status=404)},
    "6.2.1-full-speed": {"change": files("segment", done_s=lambda one: one.exchange.done_s + 2)},
    "6.2.1-keyframes": {"change": files("segment", runs=unsynced)},
    "6.2.1-gzip": {"change": versions(without_header("content-encoding"))},
    "6.2.1-changes": {"edit": swap("video-4.m4s", "video-4b.m4s", since=24)},
    "6.2.1-order": {"change": reversed_order},
    "6.2.1-new-segment": {"change": nothing_between(9.6, 13.4)},
    "6.2.1-new-part": {"change": nothing_between(9.6, 10.9)},
    "6.2.1-dated-discontinuity": {
        "edit": swap('init1.mp4"\n#EXT-X-PROGRAM-DATE-TIME', 'init1.mp4"\n#EXT-X-DATE')
    },
    "6.2.1-dates": {"edit": swap("22:13:32.000Z", "22:13:30.500Z")},
    "6.2.1-daterange-stays": {"edit": swap(DATERANGE, "", since=20)},
    "6.2.1-daterange-id": {"edit": swap('22:13:26.000Z",DUR', '22:13:27.000Z",DUR', since=20)},
    "6.2.1-gap": {"change": files("part", status=404)},
    "6.2.2-sequence": {"edit": swap("#EXT-X-MEDIA-SEQUENCE:3", "#EXT-X-MEDIA-SEQUENCE:1")},
    "6.2.2-three-targets": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:6")},
    "6.2.2-length": {
        "edit": swap("TARGETDURATION:2", "TARGETDURATION:6"),
        "change": versions(lambda one: None if one.playlist.ended else one),
    },
    "6.2.2-old-parts": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:1")},
    "6.2.2-removed-part": {"change": files("removed part", status=404)},
    "6.2.2-removed-segment": {"change": files("kept segment", status=404)},
    "6.2.2-order": {
        "edit": swap('#EXT-X-PART:DURATION=0.5,URI="video-6', '#EXT-X-NO:URI="video-6')
    },
    "6.2.2-discontinuity": {
        "edit": swap("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1", since=30)
    },
    "6.2.2-discontinuity-sequence": {
        "edit": swap("#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SEQUENCE")
    },
    "6.2.2-expires": {"change": files("segment", headers=())},
    "6.2.2-expires-true": {"change": expired_early},
    "6.2.2-type": {"edit": with_line("#EXT-X-PLAYLIST-TYPE:EVENT\n")},
    "6.2.2-contiguous": {"edit": swap("\nvideo-7.m4s", "\nvideo-6.m4s")},
    "6.2.4-target": {"edit": swap("TARGETDURATION:2", "TARGETDURATION:3", only="audio")},
    "6.2.4-server-control": {"edit": swap("HOLD-BACK=6", "HOLD-BACK=7", only="audio")},
    "6.2.4-type": {"edit": swap(SEQUENCE, "#EXT-X-PLAYLIST-TYPE:EVENT\n" + SEQUENCE, only="audio")},
    "6.2.4-codecs": {"index": lambda text: text.replace(",mp4a.40.2", "")},
    "6.2.4-dates": {"change": files("segment", runs=of_audio(shifted))},
    "6.2.4-dated": {"edit": swap("#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATE", only="audio")},
    "6.2.4-discontinuity": {
        "edit": swap("DISCONTINUITY-SEQUENCE:", "DISCONTINUITY-SEQUENCE:5", only="audio")
    },
    "6.2.4-content": {
        "change": lambda seen: replace(
            seen,
            tracks=(seen.tracks[0], replace(seen.tracks[1], versions=seen.tracks[1].versions[:40])),
        )
    },
    "6.2.4-dateranges": {
        "edit": swap("DURATION=4", "DURATION=5", only="audio"),
        "change": versions(lambda one: one if one.exchange.done_s < 15 else None),
    },
    "6.2.3": {"edit": with_line("#EXT-X-KEY:METHOD=AES-128\n")},
    "6.2.5.1": {"change": no_delta},
    "6.2.5.1-boundary": {"edit": swap("CAN-SKIP-UNTIL=12", "CAN-SKIP-UNTIL=14")},
    "6.2.5.1-rest": {"change": lines_gone},
    "6.2.5.1-removed": {"edit": swap(',RECENTLY-REMOVED-DATERANGES=""', "")},
    "6.2.5.1-old-dateranges": {"change": old_dates},
    "6.2.5.1-ended": {"change": with_probe("ended skip", 48, skip="YES")},
    "6.2.5.2-segment": {"change": answers("msn", wanted=(9, None))},
    "6.2.5.2-part": {"change": answers("msn and part", wanted=(9, 3))},
    "6.2.5.2-next-segment": {"change": answers("part beyond segment", wanted=(5, 5))},
    "6.2.5.2-old": {"change": answers("gone msn", status=400, playlist=None)},
    "6.2.5.2-ended": {"change": answers("ended msn", status=400)},
    "6.2.5.2-far": {"change": answers("msn too far", head_s=26.0)},
    "6.2.5.2-part-alone": {"change": answers("part alone", status=200)},
    "6.2.5-malformed": {"change": answers("malformed", status=500)},
    "6.2.5.2-too-long": {"change": held},
    "6.2.6-available": {"change": files("hint", status=404)},
    "6.2.6-whole": {"change": files("hint", done_s=lambda one: one.exchange.done_s + 0.4)},
    "6.2.6-unknown": {"change": answers("unknown name", status=500)},
    "6.2.6-lost": {"change": files("hint", status=lambda one: 500)},
    "6.2.6-one": {
        "edit": swap("#EXT-X-PRELOAD", '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="x"\n#EXT-X-PRELOAD')
    },
    "B.1-reports": {"edit": swap("#EXT-X-RENDITION-REPORT", "#EXT-X-REPORT")},
    "B.1-parts": {"edit": swap("#EXT-X-PART:", "#EXT-X-NO:", only="audio")},
    "B.1-dates": {"edit": swap("#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATE", only="audio")},
    "B.1-block": {"edit": swap("CAN-BLOCK-RELOAD=YES,", "")},
    "B.1-hint": {"edit": swap("#EXT-X-PRELOAD-HINT", "#EXT-X-NO-HINT")},
    "B.1-independent": {"change": files("segment", runs=unsynced)},
    "B.1-sync": {"change": versions(late_audio)},
    "B.1-h2": {"change": lambda seen: replace(seen, protocol="http/1.1")},
    "B.1-gzip": {"change": versions(without_header("content-encoding"))},
    "B.1-cache": {"change": versions(without_header("cache-control"))},
    "HTTP-cors": {"change": versions(without_header("access-control-allow-origin"))},
    "HTTP-head": {
        "change": lambda seen: replace(seen, requests=(replace(seen.requests[0], size=9),))
    },
    "HTTP-type": {"change": files("part", headers=media_headers("text/plain"))},
}
"""Rule -> what a server does that breaks it."""

KEPT: dict[str, dict[str, Any]] = {
    "4.4.2.1": {"index": lambda text: text + "#EXT-X-INDEPENDENT-SEGMENTS\n"},
    "4.4.2.2": {"edit": with_line(START)},
    "4.4.2.2-live": {
        "edit": with_line(START),
        "change": versions(lambda one: None if one.playlist.ended else one),
    },
    "4.4.4.4": {"edit": with_line(KEY)},
    "4.4.5.2": {"edit": with_line("#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n")},
    "6.2.2-length": {"change": versions(lambda one: None if one.playlist.ended else one)},
    "6.2.2-expires-true": {"change": fetched_again},
    "6.2.3": {"edit": with_line(KEY)},
    "6.2.4-dateranges": {"change": versions(lambda one: one if one.exchange.done_s < 15 else None)},
}
"""What the faultless server does besides, to bring up the rule."""
