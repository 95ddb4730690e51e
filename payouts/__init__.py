"""Payouts to a portal's partners through Stripe Connect: states, rules and storage.

This package is the domain. It knows neither the queue nor an HTTP server; `webhooks`, `workers` and
`console` stand on it, never the other way round.
"""

from payouts.version import VERSION

__all__ = ["VERSION"]
