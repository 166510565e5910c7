"""Trickle ICE and ICE restarts in WHIP and WHEP: SDP fragments in and out.

Invariant: any text gives a `Fragment` or `SdpError`. Pure. Upstream: PATCH bodies of type
`application/trickle-ice-sdpfrag`. Downstream: the WHEP and WHIP endpoints, which compare `ufrag`
with the session's to tell trickled candidates from a restart. Spec: RFC 8840, RFC 9725 4.3.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hotpath.webrtc.sdp_answer import CandidateLine, candidate_lines
from hotpath.webrtc.sdp_lines import SdpError, Section, sections
from hotpath.webrtc.sdp_offer import MAX_CANDIDATES, ice_credentials


@dataclass(frozen=True, slots=True)
class Fragment:
    ufrag: str | None
    """None: the fragment only adds candidates to the session that its ETag names."""
    pwd: str | None
    candidates: tuple[str, ...]
    """What stands behind `a=candidate:`."""
    end_of_candidates: bool
    media: tuple[str, ...]
    """The m-line that carried them, empty where there is none; an answer repeats it."""
    mid: str
    bundle: tuple[str, ...]


def parse_fragment(text: str) -> Fragment:
    session, medias = sections(text)
    parts = [*medias, session]
    ufrag = pwd = None
    if any(part.has("ice-ufrag") for part in parts):
        ufrag, pwd = ice_credentials(session, medias)
    candidates = tuple(c for part in parts for c in part.all("candidate"))
    ended = any(part.has("end-of-candidates") for part in parts)
    if ufrag is None and not candidates and not ended:
        raise SdpError("the fragment has neither ICE credentials nor candidates; send either")
    first = medias[0] if medias else Section()
    group = next((v.split() for v in session.all("group")), [])
    return Fragment(
        ufrag=ufrag,
        pwd=pwd,
        candidates=candidates[:MAX_CANDIDATES],
        end_of_candidates=ended,
        media=first.media,
        mid=(first.first("mid") or "").partition(" ")[0],
        bundle=tuple(group[1:]) if group[:1] == ["BUNDLE"] else (),
    )


def fragment_answer(
    fragment: Fragment, *, ufrag: str, pwd: str, candidates: Iterable[CandidateLine]
) -> str:
    """The answer to an ICE restart: this end's new credentials and its candidates."""
    lines = ["a=ice-lite"]
    if fragment.bundle:
        lines.append("a=group:BUNDLE " + " ".join(fragment.bundle))
    lines.append("m=" + " ".join(fragment.media or ("audio", "9", "UDP/TLS/RTP/SAVPF", "0")))
    lines += [f"a=mid:{fragment.mid}"] if fragment.mid else []
    lines += [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}"]
    lines += [*candidate_lines(candidates), "a=end-of-candidates"]
    return "\r\n".join(lines) + "\r\n"
