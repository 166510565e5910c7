"""Real peers on a real media process. Each says what it lacks when it cannot run."""

from collections.abc import Iterator

import pytest

from tests.support.webrtc import Node, media_node, on_air


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/interop/" in str(item.path):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the stamped programme on the air, by SRT with AAC."""
    with on_air(tmp_path_factory.mktemp("live") / "data") as node:
        yield node


@pytest.fixture
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that waits for a publisher."""
    with media_node(tmp_path_factory.mktemp("idle") / "data") as node:
        yield node
