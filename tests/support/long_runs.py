"""Runs of minutes, which happen when somebody asks for them and never as part of `make test`."""

import pytest


def only_when_asked(
    config: pytest.Config, items: list[pytest.Item], folder: str, reason: str
) -> None:
    """Tests in `tests/{folder}` take what time they need, and are left out unless the command line
    names the folder."""
    asked = any(folder in str(argument) for argument in config.invocation_params.args)
    for item in items:
        if f"/tests/{folder}/" in str(item.path):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))
            if not asked:
                item.add_marker(pytest.mark.skip(reason=reason))
