"""What a fresh database needs before anyone can call the API: a project with its secret, and a key.

Idempotent: every start of control runs it, and nothing that exists is changed.
"""

import base64
import secrets
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.auth.apikeys import MIN_LENGTH, hash_api_key
from infra.control.ids import new_id
from infra.db.control import ApiKey, Project, ProjectSecret
from infra.errors import ConfigurationError

DEFAULT_PROJECT = "default"
FIRST_KID = "k1"


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
            add_api_key(session, DEFAULT_PROJECT, api_key, "bootstrap", now_ms)


def create_project(session: Session, project: str, name: str, now_ms: int) -> None:
    """Add the project with its secret, unless it exists."""
    if session.get(Project, project) is not None:
        return
    session.add(Project(id=project, name=name, created_ms=now_ms))
    session.flush()
    session.add(
        ProjectSecret(
            project=project,
            kid=FIRST_KID,
            secret=base64.b64encode(secrets.token_bytes(32)).decode(),
            created_ms=now_ms,
        )
    )
    session.flush()


def add_api_key(session: Session, project: str, key: str, name: str, now_ms: int) -> None:
    """Make `key` valid for the project, unless it is a key already."""
    digest = hash_api_key(key)
    owner = session.scalar(select(ApiKey.project).where(ApiKey.hash == digest))
    if owner is None:
        session.add(
            ApiKey(id=new_id("key_"), project=project, hash=digest, name=name, created_ms=now_ms)
        )
        session.flush()
    elif owner != project:
        raise ConfigurationError(f"the API key {name} belongs to project {owner}; make another key")
