"""Partners: registered, looked up, credited; what they are owed and how that came about."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from api import schemas
from api.operation import Answer, Call
from api.paging import before_id, cut
from api.shapes import balance_shape, credit_shape, line_shape, partner_shape
from payouts import registering
from payouts.crediting import Change, change_owed
from payouts.errors import NotFoundError
from payouts.partner import Partner, PartnerState
from payouts.storage.claim_queries import claim_lines
from payouts.storage.ledger_rows import partner_balances
from payouts.storage.partner_rows import find_partner, partner_list
from payouts.storage.queries import Filters
from payouts.words import shortened


def register(call: Call) -> Answer:
    """Register a partner; 200 where it is registered like that already."""
    said: schemas.NewPartner = call.body
    wanted = registering.NewPartner(said.reference, said.account, said.name, said.email, said.currency)
    known = find_partner(call.connection, said.account)
    partner = registering.register(call.connection, wanted, call.actor, call.make_id, call.now_ms)
    return Answer(partner_shape(partner), 201 if known is None else 200)


def listed(call: Call) -> Answer:
    """All partners, in pages."""
    query: schemas.PageQuery = call.query
    filters = Filters({}, before_id=before_id(query))
    rows, more = cut(partner_list(call.connection, filters, query.limit + 1), query.limit)
    data = [partner_shape(Partner(**{**row, "state": PartnerState(row["state"])})) for row in rows]
    return Answer(schemas.PartnerPage(data=data, **more))


def one(call: Call) -> Answer:
    """One partner."""
    return Answer(partner_shape(named(call.connection, call.path["reference"])))


def balance(call: Call) -> Answer:
    """Where its claim stands now."""
    partner = named(call.connection, call.path["reference"])
    return Answer(balance_shape(partner, partner_balances(call.connection, partner.id)))


def statement(call: Call) -> Answer:
    """How its claim came about, in pages."""
    query: schemas.PageQuery = call.query
    partner = named(call.connection, call.path["reference"])
    found = claim_lines(call.connection, partner.id, before_id(query), query.limit + 1)
    rows, more = cut(found, query.limit)
    return Answer(schemas.LinePage(data=[line_shape(row) for row in rows], **more))


def credit(call: Call) -> Answer:
    """Post a credit or a debit; 200 where it was posted before under the same reference."""
    said: schemas.NewCredit = call.body
    partner = named(call.connection, call.path["reference"])
    change = Change(
        amount_minor=said.amount_minor,
        currency=said.currency,
        reference=said.reference,
        description=said.description,
        effective_at_ms=None if said.effective_at is None else _milliseconds(said.effective_at),
    )
    posted = change_owed(call.connection, partner, change, call.actor, call.make_id, call.now_ms)
    return Answer(credit_shape(partner, posted, said.amount_minor), 201 if posted.is_new else 200)


def named(connection: Connection, key: str) -> Partner:
    """The partner with this reference or Stripe account. Raises NotFoundError."""
    # Accounts are plain ASCII, and a database may refuse to compare their column with anything else.
    partner = None if key.startswith("acct_") and not key.isascii() else find_partner(connection, key)
    if partner is None:
        raise NotFoundError(f"there is no partner {shortened(key)}")
    return partner


def _milliseconds(at: datetime) -> int:
    return int((at - _EPOCH) / timedelta(milliseconds=1))


_EPOCH = datetime.fromtimestamp(0, UTC)
