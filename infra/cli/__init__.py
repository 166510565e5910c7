"""The `livepath` command."""


def main() -> None:
    """Entry point of the console script."""
    from infra.cli.app import app

    app()
