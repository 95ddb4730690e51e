"""The table of operations: what the API can do, each with its scope and its types."""

from typing import Annotated

from msgspec import Meta

from api import partners, payouts, schemas
from api.operation import Operation
from payouts.people import Scope

PREFIX = "/api/v1"

_EITHER_AMOUNT = {
    "oneOf": [
        {
            "required": ["amount_minor"],
            "properties": {"amount_minor": {"type": "integer"}, "all_due": {"const": False}},
        },
        {
            "required": ["all_due"],
            "properties": {"amount_minor": {"type": "null"}, "all_due": {"const": True}},
        },
    ]
}
"""What `NewPayout` checks by itself, said to whoever reads the document."""

OPERATIONS = (
    Operation(
        *("registerPartner", "POST", "/partners", Scope.OPERATE, "Register a partner"),
        partners.register,
        {201: schemas.Partner, 200: schemas.Partner},
        body=schemas.NewPartner,
        changes=True,
    ),
    Operation(
        *("listPartners", "GET", "/partners", Scope.READ, "List partners, newest first"),
        partners.listed,
        {200: schemas.PartnerPage},
        query=schemas.PageQuery,
        is_list=True,
    ),
    Operation(
        *("showPartner", "GET", "/partners/{reference}", Scope.READ, "Show a partner"),
        partners.one,
        {200: schemas.Partner},
    ),
    Operation(
        *("showBalance", "GET", "/partners/{reference}/balance", Scope.READ, "Show what a partner is owed"),
        partners.balance,
        {200: schemas.Balance},
    ),
    Operation(
        *("showStatement", "GET", "/partners/{reference}/statement", Scope.READ),
        "List what changed a partner's claim, newest first",
        partners.statement,
        {200: schemas.LinePage},
        query=schemas.PageQuery,
    ),
    Operation(
        *("creditPartner", "POST", "/partners/{reference}/credits", Scope.CREDIT),
        "Credit a partner or, with less than 0, debit it",
        partners.credit,
        {201: schemas.Credit, 200: schemas.Credit},
        body=schemas.NewCredit,
        changes=True,
        keyed=True,
    ),
    Operation(
        *("requestPayout", "POST", "/payouts", Scope.REQUEST, "Request a payout"),
        payouts.request,
        {201: schemas.Payout},
        body=Annotated[schemas.NewPayout, Meta(extra_json_schema=_EITHER_AMOUNT)],
        changes=True,
        keyed=True,
    ),
    Operation(
        *("listPayouts", "GET", "/payouts", Scope.READ, "List payouts, newest first"),
        payouts.listed,
        {200: schemas.PayoutPage},
        query=schemas.PayoutQuery,
        is_list=True,
    ),
    Operation(
        *("showPayout", "GET", "/payouts/{id}", Scope.READ, "Show a payout"),
        payouts.one,
        {200: schemas.Payout},
    ),
    Operation(
        *("cancelPayout", "POST", "/payouts/{id}/cancel", Scope.OPERATE, "Call off a payout not sent yet"),
        payouts.cancel,
        {200: schemas.Payout},
        body=schemas.Cancelation,
        changes=True,
    ),
)
