"""Payouts: requested, looked up, called off."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET
from sqlalchemy import Connection

from api import schemas
from api.operation import Answer, Call
from api.paging import before_id, cut
from api.partners import named
from api.shapes import payout_shape
from payouts import canceling
from payouts.errors import NotFoundError
from payouts.request import PayoutRequest, row_id_of
from payouts.requesting import Source, Wish, request_payout
from payouts.states import RequestStatus
from payouts.storage.queries import Filters
from payouts.storage.request_queries import request_list
from payouts.storage.request_rows import legs_of
from payouts.words import shortened


def request(call: Call) -> Answer:
    """Request a payout; it goes out by itself unless something is in its way."""
    said: schemas.NewPayout = call.body
    wish = Wish(
        partner_id=named(call.connection, said.partner).id,
        amount_minor=said.amount_minor,
        source=Source.API,
        currency=said.currency.lower(),
        reference=said.reference,
        statement_descriptor=said.statement_descriptor,
    )
    requested = request_payout(call.connection, wish, call.actor, call.make_id, call.now_ms)
    to_send = requested.id if requested.status == RequestStatus.QUEUED else None
    return Answer(_shown(call.connection, requested), 201, to_send)


def one(call: Call) -> Answer:
    """One payout."""
    row_id = _row_id(call)
    rows = request_list(call.connection, Filters({"id": row_id}), 1)
    if not rows:
        raise _no_payout(call.path["id"])
    return Answer(_shapes(call.connection, rows)[0])


def listed(call: Call) -> Answer:
    """Payouts, of one partner or in one state where that is asked for, in pages."""
    query: schemas.PayoutQuery = call.query
    equal: dict[str, str | int] = {}
    if query.partner is not UNSET:
        equal["partner_id"] = named(call.connection, query.partner).id
    if query.status is not UNSET:
        equal["status"] = query.status
    found = request_list(call.connection, Filters(equal, before_id=before_id(query)), query.limit + 1)
    rows, more = cut(found, query.limit)
    return Answer(schemas.PayoutPage(data=_shapes(call.connection, rows), **more))


def cancel(call: Call) -> Answer:
    """Call a payout off that was not sent yet."""
    said: schemas.Cancelation = call.body
    canceled = canceling.cancel(
        call.connection, _row_id(call), call.actor, said.reason, call.make_id, call.now_ms
    )
    return Answer(_shown(call.connection, canceled))


def _row_id(call: Call) -> int:
    row_id = row_id_of(call.path["id"])
    if row_id is None or row_id >= _ROW_IDS_BELOW:
        raise _no_payout(call.path["id"])
    return row_id


def _no_payout(said: str) -> NotFoundError:
    return NotFoundError(f"there is no payout {shortened(said)}: their ids are pay_ and a number")


def _shown(connection: Connection, request: PayoutRequest) -> schemas.Payout:
    rows = request_list(connection, Filters({"id": request.id}), 1)
    return _shapes(connection, rows)[0]


def _shapes(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[schemas.Payout]:
    legs = legs_of(connection, [row["id"] for row in rows])
    return [payout_shape(row, [leg for leg in legs if leg.request_id == row["id"]]) for row in rows]


_ROW_IDS_BELOW = 2**63
