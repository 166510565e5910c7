"""What a fresh database needs before anyone can call the API: a project with its secret, and a key
that may do everything in every project of the organisation, and make other organisations.

Idempotent: every start of control runs it, and nothing that exists is changed.
"""

import base64
import secrets
from pathlib import Path

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

from infra.auth.apikeys import MIN_LENGTH, hash_api_key
from infra.auth.kids import FIRST_KID
from infra.auth.scopes import Scope
from infra.control.ids import new_id
from infra.db.control import ApiKey, Organisation, Project, ProjectSecret
from infra.errors import ConfigurationError

DEFAULT_ORGANISATION = DEFAULT_PROJECT = "default"


def read_key_file(path: Path) -> str:
    """The API key in the file, without surrounding white space."""
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"LIVEPATH_BOOTSTRAP_API_KEY_FILE: {path} cannot be read ({error})"
        ) from error
    if len(key) < MIN_LENGTH or not key.isascii() or any(c.isspace() for c in key):
        raise ConfigurationError(
            f"LIVEPATH_BOOTSTRAP_API_KEY_FILE: {path} must hold one random key of at least "
            f"{MIN_LENGTH} ASCII characters without spaces"
        )
    return key


def bootstrap(engine: Engine, api_key: str | None, now_ms: int) -> None:
    """Make sure that project `default` exists and that `api_key`, if given, opens it."""
    with Session(engine) as session, session.begin():
        create_project(session, DEFAULT_PROJECT, "Default project", now_ms)
        if api_key is not None:
            add_api_key(
                session,
                DEFAULT_PROJECT,
                api_key,
                "bootstrap",
                now_ms,
                organisation_wide=True,
                installation_wide=True,
            )


def new_secret() -> str:
    """Of a project: base64 of 32 random bytes."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def create_project(
    session: Session,
    project: str,
    name: str,
    now_ms: int,
    organisation: str = DEFAULT_ORGANISATION,
) -> Project:
    """Add the project with its secret, and the organisation, unless they exist."""
    found = session.get(Project, project)
    if found is not None:
        return found
    if session.get(Organisation, organisation) is None:
        words = "Default organisation" if organisation == DEFAULT_ORGANISATION else organisation
        session.add(Organisation(id=organisation, name=words, created_ms=now_ms))
    made = Project(id=project, name=name, organisation=organisation, created_ms=now_ms)
    session.add(made)
    session.flush()
    session.add(
        ProjectSecret(
            project=project,
            kid=FIRST_KID,
            secret=new_secret(),
            created_ms=now_ms,
        )
    )
    session.flush()
    return made


def add_api_key(
    session: Session,
    project: str,
    key: str,
    name: str,
    now_ms: int,
    *,
    organisation_wide: bool = False,
    installation_wide: bool = False,
) -> None:
    """Make `key` valid for the project, unless it is a key already, or was before a rotation."""
    digest = hash_api_key(key)
    known = or_(ApiKey.hash == digest, ApiKey.previous_hash == digest)
    owner = session.scalar(select(ApiKey.project).where(known))
    if owner is None:
        session.add(
            ApiKey(
                id=new_id("key_"),
                project=project,
                hash=digest,
                name=name,
                scopes=[Scope.ALL.value],
                organisation_wide=organisation_wide,
                installation_wide=installation_wide,
                created_ms=now_ms,
            )
        )
        session.flush()
    elif owner != project:
        raise ConfigurationError(f"the API key {name} belongs to project {owner}; make another key")
