"""The migrations lead to the declared schema and back, on both databases."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from infra.db import audit, control, jobs, markers, outbox
from infra.db.base import Base
from infra.db.engine import downgrade, migrate, sync_engine

pytestmark = pytest.mark.integration
DECLARED = {table.name for table in Base.metadata.sorted_tables}


def tables(url: str) -> set[str]:
    engine = sync_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


# SQLAlchemy does not read indexes over expressions out of SQLite, and alembic leaves them out.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_the_migrated_schema_is_the_declared_one(database_url: str) -> None:
    migrate(database_url)
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []
    finally:
        engine.dispose()
    expected = {audit.AuditEntry, control.Event, jobs.Job, markers.Marker, outbox.OutboxMessage}
    assert {table.__tablename__ for table in expected} <= tables(database_url)


def test_every_revision_goes_down_and_up_again(database_url: str) -> None:
    migrate(database_url)
    downgrade(database_url, "0001")
    assert tables(database_url) == {"projects", "project_secrets", "api_keys", "events", "facts"}
    downgrade(database_url, "base")
    assert tables(database_url) == set()
    migrate(database_url)
    assert tables(database_url) == DECLARED


def test_a_database_that_is_current_is_left_alone_without_alembic(database_url: str) -> None:
    program = (
        "import sys; from infra.db.engine import migrate; migrate(sys.argv[1]); "
        "print('alembic' in sys.modules)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program, database_url],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert found == ["True", "False"]
    downgrade(database_url, "0014")
    migrate(database_url)
    assert tables(database_url) == DECLARED


def test_an_event_from_before_a_column_has_what_it_had_then(database_url: str) -> None:
    migrate(database_url)
    downgrade(database_url, "0002")
    columns = {
        "id": "ev_1", "project": "acme", "name": "Old", "state": "live", "access": "public",
        "takeover": False, "reconnect_window_s": 60, "target_duration_s": 2, "kid": "k1",
        "generation": 1, "revision": 1, "published_revision": 1, "recording_degraded": False,
        "created_ms": 1, "updated_ms": 1,
    }  # fmt: skip
    insert = f"INSERT INTO events ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"
    project = "INSERT INTO projects VALUES ('acme', 'Acme', 1, 1, 1)"
    engine = sync_engine(database_url)
    try:
        with engine.begin() as connection:
            connection.execute(text(project))
            connection.execute(text(insert), columns)
            later = {"id": "ev_2", "state": "scheduled"}
            connection.execute(text(insert), {**columns, **later})
            connection.execute(text("UPDATE events SET starts_at_ms = 7 WHERE id = 'ev_2'"))
        migrate(database_url)
        with engine.connect() as connection:
            event = control.Event
            columns = (event.renditions, event.dvr_window_s, event.primary_connected)
            live = event.id == "ev_1"
            kept = connection.execute(select(*columns, event.active_role).where(live)).one()
            told = (event.auto_start, event.auto_end, event.lobby_opens_s, event.cold_functions)
            times = connection.execute(select(event.labels, event.custom, *told).where(live)).one()
            looked_at = connection.scalars(select(event.due_ms).order_by(event.id)).all()
    finally:
        engine.dispose()
    assert tuple(kept) == ([], 0, False, None)
    assert tuple(times) == ({}, {}, "on_publish", False, 900, None)
    # The clock finds out what is due of what has not begun.
    assert looked_at == [None, 0]


def test_tenants_from_before_have_an_organisation_and_keys_that_may_all(database_url: str) -> None:
    migrate(database_url)
    downgrade(database_url, "0008")
    engine = sync_engine(database_url)
    try:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO projects VALUES ('acme', 'Acme', 1, 1, 7)"))
            for name in ("bootstrap", "second"):
                values = f"('key_{name}', 'acme', 'hash {name}', '{name}', 8)"
                connection.execute(text(f"INSERT INTO api_keys VALUES {values}"))
        migrate(database_url)
        with engine.connect() as connection:
            owners = connection.execute(select(control.Project.id, control.Project.organisation))
            assert owners.all() == [("acme", "default")]
            found = connection.execute(
                select(control.Organisation.id, control.Organisation.created_ms)
            )
            assert found.all() == [("default", 7)]
            key = control.ApiKey
            columns = (key.name, key.scopes, key.organisation_wide, key.expires_ms, key.revoked_ms)
            kept = connection.execute(select(*columns).order_by(key.name)).all()
    finally:
        engine.dispose()
    assert [tuple(row) for row in kept] == [
        ("bootstrap", ["*"], True, None, None),
        ("second", ["*"], False, None, None),
    ]


def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    program = "import sys; from infra.db.engine import migrate; migrate(sys.argv[1])"
    starters = [
        subprocess.Popen([sys.executable, "-c", program, database_url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for starter in starters:
        _, stderr = starter.communicate()
        assert starter.returncode == 0, stderr.decode()
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            versions = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    finally:
        engine.dispose()
    assert len(versions) == 1
    assert tables(database_url) == DECLARED


def test_a_migration_that_fails_leaves_nothing_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import op

    create_index = op.create_index

    def fail(name: str, *arguments: object, **options: object) -> None:
        if name == "ix_facts_project_event_at_ms":
            raise RuntimeError("power cut")
        create_index(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        migrate(database_url)
    assert tables(database_url) == set()
    monkeypatch.undo()
    migrate(database_url)
    assert tables(database_url) == DECLARED


def test_of_the_keys_from_before_only_the_first_is_one_of_the_installation(
    database_url: str,
) -> None:
    migrate(database_url)
    downgrade(database_url, "0017")
    insert = text(
        "INSERT INTO api_keys (id, project, hash, name, organisation_wide, made_by, created_ms)"
        " VALUES (:id, :project, :id, :name, :wide, :made_by, 1)"
    )
    engine = sync_engine(database_url)
    try:
        with engine.begin() as connection:
            for project in ("default", "acme"):
                known = "(id, name, revision, published_revision, created_ms)"
                values = f"('{project}', 'P', 1, 1, 1)"
                connection.execute(text(f"INSERT INTO projects {known} VALUES {values}"))
            for key, project, name, wide, made_by in (
                ("first", "default", "bootstrap", True, None),
                ("named-alike", "default", "bootstrap", True, "key_1"),
                ("of-one-project", "default", "bootstrap", False, None),
                ("of-another", "acme", "bootstrap", True, None),
            ):
                row = {"id": key, "project": project, "name": name, "wide": wide}
                connection.execute(insert, {**row, "made_by": made_by})
        migrate(database_url)
        with engine.connect() as connection:
            query = select(control.ApiKey.id).where(control.ApiKey.installation_wide)
            found = connection.scalars(query).all()
    finally:
        engine.dispose()
    assert found == ["first"]
