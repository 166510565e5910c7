"""The job plane: functions bound to object events, run by Celery workers on spot capacity."""
