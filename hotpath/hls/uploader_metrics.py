"""What the uploader counts, in Prometheus' terms."""

import time

from prometheus_client import Counter, Gauge

from hotpath.hls.uploader_scan import Backlog

UPLOADS = Counter("livepath_uploads", "Files acknowledged by the object store.")
UPLOADED_BYTES = Counter("livepath_uploaded_bytes", "Bytes acknowledged by the object store.")
FAILURES = Counter("livepath_upload_failures", "Uploads that failed and will be tried again.")
CONFLICTS = Counter(
    "livepath_upload_conflicts", "Files whose key was taken by other bytes; kept aside."
)
_FILES = Gauge("livepath_spool_backlog_files", "Finished files that wait for their upload.")
_BYTES = Gauge("livepath_spool_backlog_bytes", "Bytes that wait for their upload.")
_OLDEST = Gauge("livepath_spool_oldest_age_seconds", "Age of the oldest waiting file, s.")


def report_backlog(found: Backlog) -> None:
    _FILES.set(found.files)
    _BYTES.set(found.bytes)
    oldest = found.oldest_ns
    _OLDEST.set_function(lambda: max(time.time_ns() - oldest, 0) / 1e9 if oldest else 0.0)
