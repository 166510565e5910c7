"""Reads the spool folder for `uploader_scan`, and takes acknowledged things out of it.

Invariant: a session's manifest is looked for before its segments. The media node writes it last,
so when it is there, no segment can appear behind the listing's back.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hotpath.hls import spool_journal as journal
from hotpath.hls.spool_layout import (
    ACKS,
    CONFLICTS,
    DONE,
    JOURNAL,
    LIVE,
    MANIFEST,
    SessionFolder,
    open_msn,
    session_folders,
)
from hotpath.hls.uploader_scan import SessionListing, SpoolFile, is_uploadable

_OWN = frozenset({JOURNAL, ACKS, MANIFEST, f"{MANIFEST}.partial"})


def list_spool(root: Path) -> list[SessionListing]:
    """Every session in the spool; OSError if the folder cannot be read."""
    os.stat(root / LIVE)
    return [_list_session(folder) for folder in session_folders(root)]


def _list_session(folder: SessionFolder) -> SessionListing:
    manifest = _file(folder, folder.manifest)
    files: list[SpoolFile] = []
    strangers: list[str] = []
    for path, is_folder in _entries(folder.path):
        if is_folder:
            _list_rendition(folder, path, files, strangers)
        elif path.name not in _OWN:
            strangers.append(str(path.relative_to(folder.root)))
    stored = is_acknowledged(folder)
    return SessionListing(
        folder,
        tuple(files),
        manifest,
        open=folder.journal.exists() and not stored,
        done=stored and manifest is None,
        strangers=tuple(strangers),
    )


def _list_rendition(
    folder: SessionFolder, rendition: Path, files: list[SpoolFile], strangers: list[str]
) -> None:
    for path, is_folder in _entries(rendition):
        key = str(path.relative_to(folder.root))
        if not is_folder and is_uploadable(key):
            found = _file(folder, path)
            files.extend([found] if found else [])
        elif is_folder or (open_msn(path.name) is None and not path.name.endswith(".mp4.partial")):
            strangers.append(key)


def _entries(path: Path) -> Iterator[tuple[Path, bool]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                yield Path(entry.path), entry.is_dir(follow_symlinks=False)
    except FileNotFoundError:
        return


def _file(folder: SessionFolder, path: Path) -> SpoolFile | None:
    try:
        stat = path.lstat()
    except FileNotFoundError:
        return None
    return SpoolFile(str(path.relative_to(folder.root)), stat.st_size, stat.st_mtime_ns)


def acknowledged(folder: SessionFolder) -> set[str]:
    """Keys of the session that the object store holds."""
    return {record["key"] for record in journal.read(folder.acks)}


def is_acknowledged(folder: SessionFolder) -> bool:
    """Whether the session's manifest, always its last object, is in the object store."""
    last = journal.read_last(folder.acks)
    return last is not None and last["key"] == f"{folder.object_prefix}/{MANIFEST}"


def remove_session(folder: SessionFolder) -> None:
    """Take a finished session out in one step, then delete it."""
    done = folder.root / DONE
    done.mkdir(exist_ok=True)
    target = done / "-".join((*str(folder.key).split("/"), folder.incarnation))
    os.replace(folder.path, target)
    for parent in list(folder.path.parents)[:3]:
        # feed, event and project folders, as far as they are empty now
        with suppress(OSError):
            parent.rmdir()
    shutil.rmtree(target)


def clear_done(root: Path) -> None:
    """What an earlier life had no time to delete."""
    if (root / DONE).exists():
        shutil.rmtree(root / DONE)


def keep_aside(root: Path, key: str) -> Path:
    """Move a file whose key is taken by other bytes to where nobody uploads or deletes it."""
    target = root / CONFLICTS / key
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(root / key, target)
    return target
