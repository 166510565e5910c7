"""Imported by each role before anything else: redis without its measuring of itself.

redis loads the metrics of OpenTelemetry's SDK wherever that is installed, which is a sixth of a
second of every start, and nobody here asks it for them. None in place of the module is how the
import system says that there is none; redis then does without. Tracing does not need it.
"""

import sys

_METRICS = "opentelemetry.sdk.metrics"
if _METRICS not in sys.modules:
    sys.modules[_METRICS] = None  # type: ignore[assignment]
