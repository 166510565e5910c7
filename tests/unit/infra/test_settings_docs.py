from pathlib import Path

from infra.settings_docs import ROLES, render

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render(), "run `make docs`"


def test_every_setting_is_described() -> None:
    undescribed = [
        f"{model.__name__}.{name}"
        for model in ROLES
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert undescribed == []
