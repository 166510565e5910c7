"""Names in playlists and requests: of media files, below the folder of their rendition."""

MULTIVARIANT = "index.m3u8"


def segment_name(msn: int) -> str:
    return f"s{msn}.m4s"


def part_name(msn: int, part: int) -> str:
    return f"s{msn}.{part}.m4s"


def init_name(number: int) -> str:
    return f"init-{number}.mp4"
