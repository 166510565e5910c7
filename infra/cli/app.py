"""The commands of `livepath` and their help."""

import os
import sys
from typing import Annotated

import typer

from infra.cli import events, jobs, keys, nodes, orgs, projects, secrets, webhooks
from infra.cli.doctor import doctor
from infra.cli.up import up

app = typer.Typer(
    name="livepath",
    help="Open, self-hostable live video that people react to while it happens.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

ONE_MACHINE, DEPLOYMENT = "On one machine", "Any deployment, over its API"
ROLES = "Single roles (settings from LIVEPATH_* variables)"

app.command(rich_help_panel=ONE_MACHINE)(up)


@app.command(
    rich_help_panel=ONE_MACHINE,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def demo(context: typer.Context) -> None:
    """Run one event end to end on a stack of its own and report; `--help` lists the options."""
    # The demo's imports (codecs, arrays) are heavy, so its options are parsed by an app of its own.
    from infra.demo.command import demo_command

    nested = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    nested.command()(demo_command)
    nested(args=context.args, prog_name="livepath demo")


app.command(rich_help_panel=ONE_MACHINE)(doctor)


@app.command(
    rich_help_panel=ONE_MACHINE,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def conformance(context: typer.Context) -> None:
    """Check any LL-HLS server's URL against the draft; `--help` lists the options."""
    os.execv(sys.executable, [sys.executable, "-m", "conformance", *context.args])  # noqa: S606


for name, made in (
    ("events", events.app),
    ("jobs", jobs.app),
    ("webhooks", webhooks.app),
    ("keys", keys.app),
    ("secrets", secrets.app),
    ("projects", projects.app),
    ("orgs", orgs.app),
    ("nodes", nodes.app),
):
    app.add_typer(made, name=name, rich_help_panel=DEPLOYMENT)


def _run_role(name: str) -> None:
    """Become the role: same process, so that signals and exit status are the role's own."""
    from infra.supervisor.roles import ROLE_MODULES

    os.execv(sys.executable, [sys.executable, "-m", *ROLE_MODULES[name]])  # noqa: S606


@app.command(rich_help_panel=ROLES)
def control() -> None:
    """The control API and the pages (`python -m infra`)."""
    _run_role("control")


@app.command(rich_help_panel=ROLES)
def media() -> None:
    """The media node: ingest, programme, LL-HLS (`python -m hotpath`)."""
    _run_role("media")


@app.command(rich_help_panel=ROLES)
def uploader() -> None:
    """Moves the media node's spool to S3 (`python -m hotpath upload`)."""
    _run_role("uploader")


@app.command(rich_help_panel=ROLES)
def dispatcher() -> None:
    """Turns object events into jobs (`python -m coldpath dispatch`)."""
    _run_role("dispatcher")


@app.command(rich_help_panel=ROLES)
def worker() -> None:
    """Runs jobs (`python -m coldpath worker`)."""
    _run_role("worker")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("livepath"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version)
    ] = False,
) -> None:
    """Options before the command."""
