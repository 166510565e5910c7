from pathlib import Path

import pytest

from tests.support.media import AVC_AAC, Recipe, make_ts


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the session's test media."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def stream(media: Path) -> Path:
    """Four seconds of 360p H.264 and AAC."""
    return make_ts(media / "avc_aac.ts", AVC_AAC)


@pytest.fixture(scope="session")
def long_stream(media: Path) -> Path:
    return make_ts(media / "long.ts", Recipe(seconds=20.0, size="320x180", bitrate="300k"))
