"""From rows to what callers see."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from api import schemas
from payouts import partner as partners
from payouts.crediting import Posted
from payouts.ledger import LedgerKind
from payouts.leg import Leg
from payouts.request import public_id
from payouts.requesting import payable_part
from payouts.states import LegKind, RequestStatus
from payouts.window import SETTING_TEXT, Window


def moment(at_ms: int) -> datetime:
    """`at_ms` as a time in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def partner_shape(partner: partners.Partner) -> schemas.Partner:
    return schemas.Partner(
        reference=partner.reference,
        account=partner.account,
        name=partner.name,
        email=partner.email,
        email_bounced_at=None if partner.email_bounced_at_ms is None else moment(partner.email_bounced_at_ms),
        currency=partner.currency,
        state=partner.state,
        state_reason=partner.state_reason,
        bank_account=partner.bank_label,
        schedule=partner.schedule,
        created_at=moment(partner.created_at_ms),
        updated_at=moment(partner.updated_at_ms),
    )


def balance_shape(
    partner: partners.Partner, balances: Mapping[tuple[str, LedgerKind], int]
) -> schemas.Balance:
    held = {kind: balances.get((partner.currency, kind), 0) for kind in LedgerKind}
    owed_minor = held[LedgerKind.OWED]
    blocked = partner.state == partners.PartnerState.BLOCKED
    return schemas.Balance(
        partner=partner.reference,
        currency=partner.currency,
        owed_minor=owed_minor,
        payable_minor=0 if blocked else payable_part(owed_minor, partner.currency),
        in_transit_minor=held[LedgerKind.IN_TRANSIT],
        paid_minor=held[LedgerKind.PAID],
        returned_minor=held[LedgerKind.RETURNED],
    )


def line_shape(row: Mapping[str, Any]) -> schemas.Line:
    changes: Mapping[LedgerKind, int] = row["changes"]
    return schemas.Line(
        id=str(row["id"]),
        kind=row["kind"],
        reference=row["reference"],
        description=row["description"],
        payout=None if row["request_id"] is None else public_id(row["request_id"]),
        owed_minor=changes.get(LedgerKind.OWED, 0),
        in_transit_minor=changes.get(LedgerKind.IN_TRANSIT, 0),
        paid_minor=changes.get(LedgerKind.PAID, 0),
        returned_minor=changes.get(LedgerKind.RETURNED, 0),
        effective_at=moment(row["effective_at_ms"]),
        posted_at=moment(row["posted_at_ms"]),
    )


def credit_shape(partner: partners.Partner, posted: Posted, amount_minor: int) -> schemas.Credit:
    transaction = posted.transaction
    return schemas.Credit(
        id=str(transaction.id),
        partner=partner.reference,
        amount_minor=amount_minor,
        currency=partner.currency,
        reference=transaction.reference.partition(":")[2],
        description=transaction.description,
        effective_at=moment(transaction.effective_at_ms),
        posted_at=moment(transaction.posted_at_ms),
    )


def maintenance_shape(window: Window | None, *, by_setting: bool) -> schemas.Maintenance:
    """`by_setting`: it is going on, whether or not it was announced."""
    if window is None:
        return schemas.Maintenance(
            status="started" if by_setting else "none", text=SETTING_TEXT if by_setting else None
        )
    return schemas.Maintenance(
        status="started" if by_setting or window.started_at_ms is not None else "announced",
        id=str(window.id),
        starts_at=moment(window.starts_at_ms),
        ends_at=moment(window.ends_at_ms),
        text=window.text,
        announced_at=moment(window.announced_at_ms),
        started_at=None if window.started_at_ms is None else moment(window.started_at_ms),
    )


def payout_shape(row: Mapping[str, Any], legs: Sequence[Leg]) -> schemas.Payout:
    """`legs`: those of the row's request; of several of a kind, the last one counts."""
    made = {leg.kind: leg.stripe_id for leg in legs if leg.stripe_id}
    return schemas.Payout(
        id=public_id(row["id"]),
        partner=row["partner"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        status=RequestStatus(row["status"]),
        waits_for=row["blocked"],
        waits_for_text=row["blocked_text"],
        needs_approval=bool(row["needs_approval"]),
        reference=row["reference"],
        statement_descriptor=row["statement_descriptor"],
        requested_by=row["requested_by"],
        stripe_transfer=made.get(LegKind.TRANSFER),
        stripe_payout=made.get(LegKind.PAYOUT),
        created_at=moment(row["created_at_ms"]),
        updated_at=moment(row["updated_at_ms"]),
        sent_at=None if row["sent_at_ms"] is None else moment(row["sent_at_ms"]),
    )
