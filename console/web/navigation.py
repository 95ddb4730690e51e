"""The places of the console, in the order in which the menu shows them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the menu. `key`: pressed after `g`, it leads there."""

    path: str
    name: str
    key: str


SECTIONS: tuple[tuple[str, tuple[Place, ...]], ...] = (
    ("", (Place("/", "Overview", "o"),)),
    (
        "Stripe says",
        (
            Place("/events", "Events", "e"),
            Place("/dead", "Dead letters", "d"),
            Place("/replays", "Replays", "r"),
        ),
    ),
    (
        "Money",
        (
            Place("/payouts", "Payouts", "p"),
            Place("/approvals", "Approvals", "a"),
            Place("/partners", "Partners", "n"),
            Place("/ledger", "Ledger", "l"),
        ),
    ),
    (
        "Proof",
        (
            Place("/reconciliation", "Reconciliation", "c"),
            Place("/completeness", "Completeness", "m"),
        ),
    ),
    (
        "Running it",
        (
            Place("/operations", "Operations", "x"),
            Place("/audit", "Audit log", "u"),
            Place("/people", "People", "w"),
            Place("/data", "Data", "b"),
        ),
    ),
)
