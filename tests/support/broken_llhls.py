"""An LL-HLS origin that does what the rules forbid, on purpose; its media are sound."""

from tests.support.llhls import PART_S, Origin


class BrokenOrigin(Origin):
    """Serves like `Origin`, with faults in the text, the directives and the headers."""

    def playlist(self, rendition: str, parts: int) -> str:
        text = super().playlist(rendition, parts)
        text = text.replace("PART-HOLD-BACK=0.960", "PART-HOLD-BACK=0.500,CAN-SKIP-UNTIL=4.0")
        text = text.replace(f"DURATION={PART_S},", f"DURATION={PART_S / 2},")
        if rendition == "audio":
            text = text.replace("#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:3")
        hint = '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="never.mp4"\n'
        text = text.replace("#EXT-X-PRELOAD-HINT", f"{hint}#EXT-X-PRELOAD-HINT")
        if parts % 10 >= 5:  # it forgets and remembers its first segment
            text = text.replace("#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-MEDIA-SEQUENCE:3")
        return text
