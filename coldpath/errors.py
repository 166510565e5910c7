"""Errors of the cold path.

LivepathError (infra.errors)
└── ColdPathError
    ├── EventFormatError   an object-event body that no parser understands; nothing was filed
    ├── BrokerError        the broker did not take a delivery; the ledger keeps it as unsent
    ├── LeaseLost          this attempt no longer owns its job; it may write nothing more
    ├── Interrupted        this worker is about to go; the attempt gives its job back
    ├── StoreAway          the object store cannot be reached; the attempt does not count
    ├── NoSpace            this worker's disk is full; the attempt does not count, for a while
    ├── TookTooLong        the attempt ran for longer than its job may; it is tried again
    ├── RetryLater         the job cannot run yet (an input is missing); try again after a pause
    └── PermanentFailure   trying again cannot help; the job is dead at once
        ├── DamagedMedia   a segment does not hold what its manifest says
        ├── KeyRefused     a function wants to write or list what is not its event's
        └── ResultRefused  what a function returned, or noted as a checkpoint, cannot be kept
"""

from infra.errors import LivepathError


class ColdPathError(LivepathError):
    """Anything the cold path raises on purpose."""


class EventFormatError(ColdPathError):
    """The body is no object event of the expected kind."""


class BrokerError(ColdPathError):
    """The broker refused a delivery or could not be reached."""


class LeaseLost(ColdPathError):
    """Another attempt owns the job, or it was cancelled."""


class Interrupted(ColdPathError):
    """The worker has to stop before the job can be done; another one goes on."""


class StoreAway(ColdPathError):
    """Store or database cannot be reached; whatever the attempt fell over, it was not the job."""


class NoSpace(ColdPathError):
    """The disk of this worker has no room for what the attempt has to write."""


class TookTooLong(ColdPathError):
    """The attempt ran for longer than its job may."""


class RetryLater(ColdPathError):
    """The job cannot run yet."""


class PermanentFailure(ColdPathError):
    """Trying again cannot help."""


class DamagedMedia(PermanentFailure):
    """Media bytes and manifest disagree."""


class KeyRefused(PermanentFailure):
    """A function wants to write or list an object that is not of its own event."""


class ResultRefused(PermanentFailure):
    """What a function returned, or noted as a checkpoint, cannot be kept."""
