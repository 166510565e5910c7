"""Errors of infra.

LivepathError
├── ConfigurationError     a setting or URL cannot be used; the message says the fix
├── IllegalTransition      an event, job or publisher was asked for a change its table lacks
│   └── ActorRefused       the change is for others to cause
├── UnknownEvent           no event has this id
├── MigrationBlocked       others held locks that a change of the schema needs
├── TokenError             a viewer token or stream key does not verify
└── StorageError           the object store refused or could not be reached
    ├── ObjectExists       If-None-Match: the key is taken
    └── ObjectMissing      no such key
"""


class LivepathError(Exception):
    """Anything Livepath raises on purpose."""


class ConfigurationError(LivepathError):
    """A setting cannot be used."""


class IllegalTransition(LivepathError):
    """The state machine has no such edge."""


class ActorRefused(IllegalTransition):
    """The change is for others to cause."""


class UnknownEvent(LivepathError):
    """There is no event with this id."""


class MigrationBlocked(LivepathError):
    """Others held locks that a change of the schema needs, for longer than it waits."""


class BusUnavailable(LivepathError):
    """The bus Valkey could not be reached or refused the command."""


class TokenError(LivepathError):
    """The token or key does not verify."""


class StorageError(LivepathError):
    """The object store refused the request or could not be reached."""


class StorageBusy(StorageError):
    """The object store cannot answer this request just now, or cannot be reached; later it may."""


class ObjectExists(StorageError):
    """An object with this key exists already."""


class ObjectMissing(StorageError):
    """There is no object with this key."""
