"""Requesting a payout: first for whom, then how much."""

from sqlalchemy import Connection
from starlette.responses import Response

from console.request_commands import request_row
from console.web.call import Call
from console.web.payout_deeds import wake
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.ledger import LedgerKind
from payouts.money import format_money, parse_money
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.readiness import partner_stop
from payouts.registering import the_partner
from payouts.request import PayoutRequest
from payouts.requesting import DESCRIPTOR_CHARS, Source, Wish, payable_part, request_payout
from payouts.states import RequestStatus
from payouts.storage.ledger_rows import balance
from payouts.storage.money_tables import REFERENCE_CHARS

ALL, AN_AMOUNT = "all", "amount"


def ask(call: Call) -> Response:
    """The form: without a partner, it asks for one."""
    named = call.asked("partner")
    try:
        partner = None if named is None else the_partner(call.connection, named)
    except NotFoundError as error:
        return _form(call, None, str(error), 404)
    return _form(call, partner)


def request(call: Call) -> Response:
    """Request it. What cannot be is told beside the form, which keeps what was typed."""
    partner = the_partner(call.connection, call.form.get("partner", "").strip())
    try:
        made, is_new = call.do(lambda *step: _request(call, partner, *step))
    except RefusedError as error:
        if call.wants_json or call.visitor.session is None:
            raise
        return _form(call, partner, str(error), 409)
    money = format_money(made.amount_minor, made.currency)
    if not is_new:
        said = f"nothing new was requested: {made.public_id} over {money} has this reference already"
    elif made.status == RequestStatus.AWAITING_APPROVAL:
        said = f"{made.public_id}: {money} to {partner.reference} waits for a second person"
    else:
        wake(call, made.id)
        said = f"{made.public_id}: {money} to {partner.reference} is {made.status}"
    return call.back(f"/payouts/{made.public_id}", said, request_row(made))


def _request(
    call: Call, partner: Partner, connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int
) -> tuple[PayoutRequest, bool]:
    form = {name: value.strip() for name, value in call.form.items()}
    minor = None if form.get("how") == ALL else parse_money(form.get("amount", ""), partner.currency)
    wish = Wish(
        partner.id,
        minor,
        Source.CONSOLE,
        # A form that is sent twice requests once: it carries a name of its own where nobody gives it one.
        reference=form.get("reference") or form.get("once") or None,
        statement_descriptor=form.get("descriptor") or None,
    )
    made = request_payout(connection, wish, actor, make_id, at_ms)
    is_new = made.created_at_ms == at_ms
    shown = form.get("due_minor", "")
    if is_new and minor is None and shown and str(made.amount_minor) != shown:
        raise RefusedError(
            "stale",
            f"nothing was requested: {format_money(made.amount_minor, made.currency)} is due by now, "
            "which is not what your page showed",
        )
    return made, is_new


def _form(call: Call, partner: Partner | None, refused: str = "", status: int = 200) -> Response:
    due_minor, owed_minor, stop = 0, 0, None
    if partner is not None:
        currency = partner.currency
        owed_minor = balance(call.connection, partner.account, partner.id, LedgerKind.OWED, currency)
        due_minor = payable_part(owed_minor, currency)
        stop = partner_stop(partner, call.parts.gate_rules, call.now_ms)
    data = {
        "partner": partner and partner.reference,
        "currency": partner and partner.currency,
        "owed_minor": owed_minor,
        "due_minor": due_minor,
    }
    return call.page(
        "payout_new.html",
        title="Request a payout",
        data=data,
        status=status,
        partner=partner,
        owed_minor=owed_minor,
        due_minor=due_minor,
        stop=stop,
        refused=refused,
        typed=call.form,
        once=call.form.get("once") or f"console-{call.parts.make_id()}",
        reference_chars=REFERENCE_CHARS,
        descriptor_chars=DESCRIPTOR_CHARS,
    )


ROUTES = (
    ("GET", "/payouts/new", ask, Scope.REQUEST),
    ("POST", "/payouts/new", request, Scope.REQUEST),
)
