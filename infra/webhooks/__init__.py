"""Webhooks: public events delivered to endpoints of clients.

outbox relay → deliveries → dispatcher → sender → guard → the endpoint
                   ▲             │
                   └── outcome ──┘
"""
