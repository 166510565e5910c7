"""Public events: what clients are told, by webhook and on `GET /v1/stream`.

whoever changes something → record() in the same transaction → table `outbox`
                                                                   │ relay: numbers
                                             webhooks' deliveries ◄┴► listeners of the stream
"""
