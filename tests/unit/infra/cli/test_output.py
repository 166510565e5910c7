import io

from rich.console import Console

from infra.cli.output import table

JOB, EVENT = "job_6ibuczay252exxnvadsy", "ev_fwv2lxdkksy3qo7hxnd5"


def test_ids_are_whole_on_a_narrow_terminal_whatever_else_is_said() -> None:
    columns = ("job", "function", "event", "state", "done", "attempts", "created", "error")
    said = "RetryLater: the programme is not over yet; ask when its event is archived"
    row = (JOB, "archive", EVENT, "retrying", "0 %", "4/20", "2026-11-26T15:27:28Z", said)
    shown = io.StringIO()
    Console(file=shown, width=80).print(table(columns, [row]))
    assert JOB in shown.getvalue()
    assert EVENT in shown.getvalue()
