"""Each object has every field that Stripe's API gives it: those that `fields.json` names."""

import json
from pathlib import Path
from typing import Any

from tests.support.sandbox import Json, Sandbox

FIELDS = Path(__file__).with_name("fields.json")


def absent(fields: Any, thing: Any, path: str = "") -> list[str]:
    """The fields that an object lacks, by their path."""
    if not isinstance(fields, dict) or not isinstance(thing, dict):
        return []
    return [f"{path}{key}" for key in fields if key not in thing] + [
        inner for key in fields if key in thing for inner in absent(fields[key], thing[key], f"{path}{key}.")
    ]


def test_objects_have_all_fields(sandbox: Sandbox) -> None:
    fields: Json = json.loads(FIELDS.read_text())
    client = sandbox.client()
    partner = sandbox.account()
    transfer = client.v1.transfers.create({"amount": 1000, "currency": "usd", "destination": partner})
    made: Json = {
        "account": client.v1.accounts.retrieve(partner),
        "balance": client.v1.balance.retrieve(),
        "balance_transaction": client.v1.balance_transactions.list().data[0],
        "bank_account": client.v1.accounts.external_accounts.list(partner).data[0],
        "capability": client.v1.accounts.capabilities.retrieve(partner, "transfers"),
        "event": client.v1.events.list().data[0],
        "payout": client.v1.payouts.create({"amount": 100, "currency": "usd"}, {"stripe_account": partner}),
        "transfer": transfer,
        "transfer_reversal": client.v1.transfers.reversals.create(transfer.id, {"amount": 1}),
        "webhook_endpoint": client.v1.webhook_endpoints.create(
            {"url": "http://127.0.0.1:9", "enabled_events": ["*"]}
        ),
    }

    lacking = {kind: absent(fields[kind], thing.to_dict()) for kind, thing in made.items()}

    assert set(fields) == set(made)
    assert lacking == {kind: [] for kind in made}


def test_the_check_finds_what_is_absent() -> None:
    assert absent({"a": {"b": None, "c": None}, "d": None}, {"a": {"b": 1}}) == ["d", "a.c"]
