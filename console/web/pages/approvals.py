"""Approvals: what waits for a second person, and what is unusual about it."""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.responses import Response

from console.web.call import Call, local_path
from console.web.payout_verbs import Case
from console.web.verb import Verb
from payouts.approving import approve_bank_account
from payouts.holds import targets_of
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.registering import the_partner
from payouts.replay import Replay
from payouts.request import PayoutRequest
from payouts.states import RequestStatus
from payouts.storage.approval_queries import (
    bank_accounts,
    earlier_requests,
    partners_of,
    replays_to_confirm,
    waiting_requests,
    was_paid,
)
from payouts.storage.hold_rows import active_on
from payouts.storage.request_queries import newest_moves
from payouts.unusual import Unusual, about_bank_account, about_request

ROWS = 15
"""Of requests, and of bank accounts, on one page: each is looked into."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for somebody's decision."""

    request: PayoutRequest
    partner: Partner | None
    unusual: list[Unusual]
    verbs: list[Verb]


@dataclass(frozen=True, slots=True)
class NewBank:
    """A bank account that waits for somebody's approval. `waiters`: payouts that wait for it."""

    partner: Partner
    waiters: int
    unusual: list[Unusual]
    verb: Verb


def approvals(call: Call) -> Response:
    """Requests, bank accounts and replays that wait for a second person."""
    before, banks_before = call.number("before"), call.number("banks_before")
    found = waiting_requests(call.connection, before, ROWS + 1)
    waiting = _waiting(call, found[:ROWS])
    banks, older_banks = _banks(call, banks_before) if call.parts.gate_rules.bank_approval else ([], None)
    replays = replays_to_confirm(call.connection)
    return call.page(
        "approvals.html",
        title="Approvals",
        data={
            "requests": [_request_row(one) for one in waiting],
            "bank_accounts": [_bank_row(one) for one in banks],
            "replays": [_replay_row(one) for one in replays],
        },
        waiting=waiting,
        older=call.here(before=str(found[ROWS - 1].id)) if len(found) > ROWS else None,
        newest=call.here(before=None) if before is not None else None,
        banks=banks,
        banks_asked=call.parts.gate_rules.bank_approval,
        older_banks=older_banks,
        newest_banks=call.here(banks_before=None) if banks_before is not None else None,
        replays=replays,
    )


def approve_bank(call: Call) -> Response:
    """Approve the bank account that was looked at."""

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        partner_id = the_partner(connection, call.path("partner")).id
        seen = call.form.get("bank_account")
        return approve_bank_account(connection, partner_id, actor, call.reason, make_id, at_ms, seen)

    done = call.do(work)
    said = f"{done.bank_label or done.bank_account} of {done.reference} is approved"
    data = {"partner": done.reference, "bank_account": done.bank_account}
    return call.back(local_path(call.form.get("back"), "/approvals"), said, data)


def bank_verb(partner: Partner, waiters: int) -> Verb:
    """The form that approves the bank account that `partner` has now."""
    bank = partner.bank_label or partner.bank_account
    waits = f" {waiters} waiting payout{'s' if waiters != 1 else ''} can go on then." if waiters else ""
    return Verb(
        "Approve",
        f"Lets payouts to {partner.name} ({partner.reference}) go to its bank account {bank}, once its time "
        f"of cooling off is over.{waits}",
        f"/approvals/bank/{partner.id}/approve",
        scope=Scope.APPROVE,
        hidden=(("bank_account", partner.bank_account or ""),),
    )


def _waiting(call: Call, requests: list[PayoutRequest]) -> list[Waiting]:
    partners = partners_of(call.connection, [request.partner_id for request in requests])
    held = active_on(call.connection, {target for request in requests for target in targets_of(request)})
    earlier = earlier_requests(call.connection, requests)
    moves = newest_moves(call.connection, [request.id for request in requests])
    made = []
    for request in requests:
        partner = partners.get(request.partner_id)
        on_it = targets_of(request)
        case = Case(
            request,
            partner,
            [hold for hold in held if hold.target in on_it],
            seen=moves.get(request.id),
            actor=call.actor.name,
            at_ms=call.now_ms,
            rules=call.parts.gate_rules,
        )
        unusual = []
        if partner is not None:
            before = earlier[request.id]
            lately = any(one.status == RequestStatus.PAID for one in before)
            paid = lately or was_paid(call.connection, partner.id)
            unusual = about_request(request, partner, before, was_paid=paid, now_ms=call.now_ms)
        made.append(Waiting(request, partner, unusual, case.decisions()))
    return made


def _banks(call: Call, before: int | None) -> tuple[list[NewBank], str | None]:
    found = bank_accounts(call.connection, before, ROWS)
    made = []
    for partner in (*found.held_up, *found.others):
        waiters = found.waiters.get(partner.id, 0)
        unusual = about_bank_account(partner, call.now_ms)
        made.append(NewBank(partner, waiters, unusual, bank_verb(partner, waiters)))
    older = None if found.before_id is None else call.here(banks_before=str(found.before_id))
    return made, older


def _request_row(one: Waiting) -> dict[str, object]:
    request = one.request
    return {
        "payout": request.public_id,
        "partner": one.partner and one.partner.reference,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "requested_by": request.requested_by,
        "source": request.source,
        "created_at_ms": request.created_at_ms,
        "unusual": [{"code": found.code, "text": found.text} for found in one.unusual],
    }


def _bank_row(one: NewBank) -> dict[str, object]:
    return {
        "partner": one.partner.reference,
        "bank_account": one.partner.bank_account,
        "bank_label": one.partner.bank_label,
        "bank_since_ms": one.partner.bank_since_ms,
        "waiting_payouts": one.waiters,
        "unusual": [{"code": found.code, "text": found.text} for found in one.unusual],
    }


def _replay_row(replay: Replay) -> dict[str, object]:
    return {
        "replay": replay.public_id,
        "reason": replay.reason,
        "requested_by": replay.requested_by,
        "events": replay.total,
        "created_at_ms": replay.created_at_ms,
    }


ROUTES = (
    ("GET", "/approvals", approvals, Scope.READ),
    ("POST", "/approvals/bank/{partner}/approve", approve_bank, Scope.APPROVE),
)
