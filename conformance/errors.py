"""Why a check could not run.

ConformanceError
"""


class ConformanceError(Exception):
    """The server could not be observed; the message says what would help."""
