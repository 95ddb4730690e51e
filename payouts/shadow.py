"""What shadow mode decided and did not send, in rows to lay beside what the system before has paid."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from payouts.calls import Call
from payouts.clock import iso
from payouts.exporting import plain
from payouts.money import decimal_text
from payouts.request import public_id

SHADOW_COLUMNS = (
    *("payout", "reference", "partner", "account", "currency", "amount_minor", "amount", "source"),
    *("requested_by", "requested_at", "decided_at", "calls"),
)


def calls_of(row: Mapping[str, Any]) -> list[Call]:
    """The calls that would have been made, one after the other, as the partner's account is now."""
    pays_out_by_itself = row["manual_schedule"] is False
    return [Call.TRANSFER] if pays_out_by_itself else [Call.TRANSFER, Call.PAYOUT]


def shadow_rows(decided: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Rows of `shadowed_list`, by SHADOW_COLUMNS."""
    for row in decided:
        yield (
            *(public_id(row["id"]), plain(row["reference"]), plain(row["partner"]), row["account"]),
            *(row["currency"], row["amount_minor"], decimal_text(row["amount_minor"], row["currency"])),
            *(row["source"], plain(row["requested_by"]), iso(row["created_at_ms"])),
            *(iso(row["decided_at_ms"]), " ".join(calls_of(row))),
        )
