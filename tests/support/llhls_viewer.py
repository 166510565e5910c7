"""An LL-HLS viewer on a thread: blocking reloads, every part, and how old its newest frame was."""

import http.client
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from benchmarks.stamped import DIGITS, MARK
from tests.support.m3u8 import Playlist, parse

_TIMEOUT_S = 10.0


class LlHlsViewer:
    """Follows one rendition of the stamped programme while the block lasts."""

    def __init__(self, playlist_url: str) -> None:
        self._url = urlsplit(playlist_url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ll-hls", daemon=True)
        self.delays: list[tuple[float, float]] = []
        """(monotonic s, age of the part's newest frame in ms): one for each part."""
        self.stamps: list[int] = []
        self.trouble: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(2 * _TIMEOUT_S)

    def between(self, begin: float, end: float) -> list[float]:
        return [delay for at, delay in self.delays if begin <= at < end]

    @property
    def missing(self) -> int:
        """Frames that were never in a part, of those between the first and the last."""
        span = self.stamps[-1] - self.stamps[0]
        return round(span * 30 / 1e6) + 1 - len(self.stamps)

    def _run(self) -> None:
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port, timeout=_TIMEOUT_S
        )
        try:
            playlist = self._playlist(connection, "")
            msn, part = playlist.open.msn, len(playlist.open.parts)
            while not self._stop.is_set():
                playlist = self._playlist(connection, f"?_HLS_msn={msn}&_HLS_part={part}")
                msn, part = self._take(connection, playlist, msn, part)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.trouble = repr(error)
        finally:
            connection.close()

    def _take(
        self, connection: http.client.HTTPConnection, playlist: Playlist, msn: int, part: int
    ) -> tuple[int, int]:
        """Fetch what came from this part on; where to go on."""
        for segment in [*playlist.segments, playlist.open]:
            if segment.msn < msn:
                continue
            first = part if segment.msn == msn else 0
            for one in segment.parts[first:]:
                self._look(self._get(connection, one.uri))
        return playlist.open.msn, len(playlist.open.parts)

    def _look(self, data: bytes) -> None:
        at = data.find(MARK)
        while at >= 0:
            digits = data[at + len(MARK) : at + len(MARK) + DIGITS]
            self.stamps.append(int(digits))
            at = data.find(MARK, at + 1)
        self.delays.append((time.monotonic(), time.time_ns() / 1e6 - self.stamps[-1] / 1e3))

    def _playlist(self, connection: http.client.HTTPConnection, query: str) -> Playlist:
        return parse(self._get(connection, self._url.path + query).decode())

    def _get(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        if not path.startswith("/"):
            path = self._url.path.rpartition("/")[0] + "/" + path
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, f"{path}: HTTP {response.status}"
        return body
