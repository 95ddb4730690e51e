"""The types of events that this service acts on, by the kind of endpoint that they come to.

Every other type is stored and ignored, by name. `payouts.batch` routes them.
"""

PAYOUT_EVENTS = (
    *("payout.created", "payout.updated", "payout.paid", "payout.failed"),
    *("payout.canceled", "payout.reconciliation_completed"),
)
"""All that Stripe has. There is no `payout.in_transit`: that shows in `payout.updated`."""

HANDLED_PLATFORM_TYPES = (
    *PAYOUT_EVENTS,
    *("transfer.created", "transfer.updated", "transfer.reversed"),
    "balance.available",
)
"""Of the platform's own account."""

HANDLED_CONNECT_TYPES = (
    *("account.updated", "capability.updated"),
    *("account.external_account.created", "account.external_account.updated"),
    *("account.external_account.deleted", "account.application.deauthorized"),
    *PAYOUT_EVENTS,
    "balance.available",
)
"""Of the partners' accounts."""

HANDLED_TYPES = tuple(dict.fromkeys((*HANDLED_PLATFORM_TYPES, *HANDLED_CONNECT_TYPES)))
"""Of both; 20 at the most, as Stripe's lists of events take no more."""
