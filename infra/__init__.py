"""What both planes stand on: settings, storage, database, events, auth, telemetry, control API."""
