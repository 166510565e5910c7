"""A recorded event for benchmarks of the cold path, in a store and as the files of a plain tool.

Licence-free and made here: a test card with noise and a tone, 720p30 at 3 Mbit/s with B-frames and
AAC, keyframes every 2 s. A loop is encoded once and repeated at later times, as tests do.
"""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import imageio_ffmpeg

from infra.keys import ProgramKey
from infra.manifest import SessionManifest
from infra.storage.memory import MemoryObjectStore
from tests.support.looped import Loop, repeated, tracks
from tests.support.session import Session, Track, session

KEY = ProgramKey("bench", "ev_bench")
LOOP = Loop(seconds=64, size="1280x720", fps=30, kbps=3000, preset="veryfast", noise=True)


def ffmpeg(*arguments: str | Path) -> None:
    """The plain tool, with the threads that it takes by itself."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y"]
    subprocess.run([*command, *map(str, arguments)], check=True)


class Bucket(MemoryObjectStore):
    """A bucket in memory. A file that is stored is not read: what its upload takes depends on the
    network, and the plain tool uploads nothing."""

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        kept = b"" if isinstance(data, Path) else data
        return super().put(key, kept, content_type, exclusive=exclusive)


@dataclass(frozen=True)
class Media:
    """One event of so many seconds; files go to `folder`."""

    seconds: int
    folder: Path

    @cached_property
    def recorded(self) -> Session:
        made = session(KEY, "i1", *(repeated(track, self.seconds) for track in tracks(LOOP)))
        renditions = [
            entry.model_copy(update={"width": 1280, "height": 720, "codecs": ("avc1.64001f",)})
            if entry.kind == "video"
            else entry
            for entry in made.manifest.renditions
        ]
        changed = made.manifest.model_dump() | {"renditions": [r.model_dump() for r in renditions]}
        return Session(SessionManifest.model_validate(changed), made.objects)

    def bucket(self) -> Bucket:
        """A new one that holds the recording and nothing made of it."""
        found = Bucket()
        self.recorded.upload(found)
        return found

    @cached_property
    def fragments(self) -> tuple[Path, Path]:
        """Picture and sound as recorded: one file for each, in fragments."""
        return tuple(self._written(track) for track in tracks(LOOP))  # type: ignore[return-value]

    @cached_property
    def file(self) -> Path:
        """An ordinary MP4 of the same pictures and sound, index in front."""
        video, audio = self.fragments
        path = self.folder / "ordinary.mp4"
        ffmpeg("-i", video, "-i", audio, "-c", "copy", "-movflags", "+faststart", path)
        return path

    def _written(self, track: Track) -> Path:
        path = self.folder / f"{track.kind}.mp4"
        with path.open("wb") as file:
            file.write(track.init)
            for fragment in repeated(track, self.seconds).fragments:
                file.write(fragment.data)
        return path
