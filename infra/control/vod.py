"""What there is of a recording for its viewers. Reads rows; nothing here commits."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.links import FEED, Links
from infra.control.marker_schemas import marker_out
from infra.control.views import access_of, is_recorded
from infra.control.vod_schemas import DownloadOut, VodOut, VodStatus
from infra.db.control import Event
from infra.db.jobs import Asset, Job
from infra.db.markers import Marker
from infra.jobs.states import JobState
from infra.keys import VodKey, parse
from infra.lifecycle import EventState

_KINDS = ("vod", "mp4", "poster", "preview", "storyboard", "captions", "transcript")
_LIVE_POSTER = "poster-live"
"""One every few seconds of the event: all of them would leave no room for the others."""
_MOST = 500
"""Assets that are looked at, newest first."""
_BEGUN: dict[EventState, VodStatus] = {
    EventState.DRAFT: "not-begun",
    EventState.SCHEDULED: "not-begun",
    EventState.LOBBY: "not-begun",
    EventState.LIVE: "live",
    EventState.RECONNECTING: "live",
}


async def vod_of(
    session: AsyncSession, event: Event, links: Links, *, token: str | None, may_clip: bool
) -> VodOut:
    """The recording of the event's main feed, with URLs for the holder of `token`."""
    assets = await _assets(session, event)
    whole = Vod(assets, links, token)
    status = _BEGUN.get(EventState(event.state))
    if whole.playlist is not None:
        status = "ready"
    elif status is None and not is_recorded(event):
        status = "none"
    elif status is None:
        gave_up = event.started_ms is None or await _gave_up(session, event)
        status = "failed" if gave_up else "making"
    return VodOut(
        id=event.id,
        name=event.name,
        state=EventState(event.state),
        access=access_of(event),
        status=status,
        duration_ms=whole.playlist.duration_ms if whole.playlist else None,
        hls_url=whole.hls_url,
        captions=whole.languages,
        poster_url=whole.url("poster") or whole.url(_LIVE_POSTER),
        preview_url=whole.url("preview"),
        storyboard_url=whole.url("storyboard"),
        transcript_url=whole.url("transcript"),
        replay_url=await _replay_url(session, event, links, token),
        downloads=whole.downloads,
        markers=[marker_out(row) for row in await _markers(session, event)],
        may_clip=may_clip,
    )


class Vod:
    """Assets that belong together: what was made of the newest recording, else of an older one."""

    def __init__(self, assets: Iterable[Asset], links: Links, token: str | None) -> None:
        """`assets` newest first."""
        self._links = links
        self._token = token
        self._by_kind: dict[str, list[Asset]] = {}
        for asset in assets:
            self._by_kind.setdefault(asset.kind, []).append(asset)
        self.playlist = self._newest("vod")

    @property
    def hls_url(self) -> str | None:
        if self.playlist is None:
            return None
        key = self.playlist.key
        with_captions = self._captions.detail.get("playlist") if self._captions else None
        if with_captions:
            key = f"{key.rpartition('/')[0]}/{with_captions}"
        return self._links.viewed(key, self._token)

    @property
    def languages(self) -> list[str]:
        said = self._captions.detail.get("language") if self._captions else None
        return [str(said)] if said else ["und"] if self._captions else []

    @property
    def downloads(self) -> list[DownloadOut]:
        films = [a for a in self._by_kind.get("mp4", ()) if self._belongs(a)]
        return [
            DownloadOut(
                url=f"{self._links.viewed(asset.key, self._token)}?download",
                name=asset.key.rpartition("/")[2],
                rendition=_text(asset.detail.get("rendition")),
                bytes=asset.bytes,
                duration_ms=asset.duration_ms,
            )
            for asset in sorted(films, key=lambda a: a.key)
        ]

    def url(self, kind: str) -> str | None:
        """Of the newest asset of this kind, if possible one of the recording that is played."""
        found = self._by_kind.get(kind, ())
        best = next((asset for asset in found if self._belongs(asset)), self._newest(kind))
        return self._links.viewed(best.key, self._token) if best else None

    @property
    def _captions(self) -> Asset | None:
        found = self._by_kind.get("captions", ())
        return next((a for a in found if self._belongs(a) and a.key.endswith(".vtt")), None)

    def _belongs(self, asset: Asset) -> bool:
        return self.playlist is not None and _content(asset) == _content(self.playlist)

    def _newest(self, kind: str) -> Asset | None:
        return next(iter(self._by_kind.get(kind, ())), None)


def _content(asset: Asset) -> str:
    key = parse(asset.key)
    return key.content if isinstance(key, VodKey) else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


async def _assets(session: AsyncSession, event: Event) -> Sequence[Asset]:
    query = (
        select(Asset)
        .where(Asset.project == event.project, Asset.event == event.id, Asset.feed == FEED)
        .order_by(Asset.created_ms.desc(), Asset.id.desc())
    )
    lasting = await session.scalars(query.where(Asset.kind.in_(_KINDS)).limit(_MOST))
    passing = await session.scalars(query.where(Asset.kind == _LIVE_POSTER).limit(1))
    return [*lasting, *passing]


async def _replay_url(
    session: AsyncSession, event: Event, links: Links, token: str | None
) -> str | None:
    """Of the one that was stored last; jobs may end in another order."""
    query = (
        select(Asset.key)
        .join(Job, Job.id == Asset.job)
        .where(Asset.project == event.project, Asset.event == event.id, Asset.kind == "replay")
        .order_by(Job.created_ms.desc(), Job.id.desc())
        .limit(1)
    )
    key = await session.scalar(query)
    return links.viewed(key, token) if key else None


async def _markers(session: AsyncSession, event: Event) -> Sequence[Marker]:
    query = select(Marker).where(Marker.event == event.id).order_by(Marker.start_ms, Marker.id)
    return (await session.scalars(query)).all()


async def _gave_up(session: AsyncSession, event: Event) -> bool:
    query = select(Job.id).where(
        Job.project == event.project,
        Job.event == event.id,
        Job.function == "archive",
        Job.state == JobState.DEAD.value,
    )
    return await session.scalar(query.limit(1)) is not None
