"""The media node's setting: with a secret there are edges, without one there are none."""

from pathlib import Path

import httpx2
import pytest

from tests.support.medianode import MediaProcess

pytestmark = pytest.mark.integration
SECRET = "the-secret-of-a-test"


@pytest.mark.parametrize(("settings", "status"), [({"edge_secret": SECRET}, 204), ({}, 404)])
def test_a_media_node_knows_edges_by_its_secret(
    tmp_path: Path, settings: dict[str, str], status: int
) -> None:
    with MediaProcess(tmp_path, **settings) as media:
        media.want()
        media.start()
        url = f"http://127.0.0.1:{media.http_port}/edge/check"
        assert httpx2.get(url, headers={"X-Livepath-Edge": SECRET}).status_code == status
