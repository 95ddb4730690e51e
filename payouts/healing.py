"""Objects that were found at Stripe are settled as their events would be: by the state machine and the books.

Nothing else is ever changed because of a comparison. Settling twice changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.books import Books, MadeLeg
from payouts.calls import METADATA_LEG
from payouts.errors import RowIdTakenError
from payouts.event import PayoutObject
from payouts.ids import IdMaker
from payouts.leg import Leg
from payouts.linking import link_reversals, lock_with_counterparts
from payouts.machine import Alert
from payouts.sightings import Cause, Sightings, moves_of
from payouts.states import LegKind
from payouts.storage.request_rows import legs_by_id
from payouts.transfer import ReversalObject, TransferObject, leg_id_in

_MADE = "the open leg is recorded as made"


@dataclass(frozen=True, slots=True)
class FoundTransfer:
    """A transfer at Stripe, its leg, and the reversal that an open leg waits for, with that leg."""

    seen: TransferObject
    leg: Leg
    reversal: tuple[Leg, ReversalObject] | None = None


def settle_payouts(
    connection: Connection, make_id: IdMaker, now_ms: int, account: str, found: Sequence[PayoutObject]
) -> dict[str, str]:
    """Settle payouts of `account` as Stripe has them; by Stripe's id, what that changed.

    Locks payouts, then requests. Raises RowIdTakenError where an event was faster: the transaction is done
    again. Other errors say that the books refuse what Stripe has.
    """
    found = sorted(found, key=lambda seen: seen.amount < 0)  # a reversal follows what it reverses
    held = lock_with_counterparts(connection, found)
    legs = _legs_named(connection, account, found)
    sightings = Sightings(make_id, now_ms, held)
    linked = []
    for seen in found:
        leg, payout = legs.get(seen.id), sightings.payout(seen.id)
        if leg is not None and payout is not None and payout.request_id is None:
            linked.append(sightings.link(payout, leg.request_id))
        sightings.see(Cause(account), seen, leg.request_id if leg else None, confirmed=True)
    try:
        sightings.insert_born(connection)
    except IntegrityError:
        raise RowIdTakenError("an event told of the same payout at the same time") from None
    moves = moves_of(sightings.transitions)
    moves += [(reversal, None) for reversal in link_reversals(connection, sightings)]
    books = Books(connection, make_id, now_ms)
    books.load({p.request_id for p, _ in moves if p.request_id} | {leg.request_id for leg in legs.values()})
    done = _note_made(books, sightings, legs) | {payout.stripe_id: _MADE for payout in linked}
    for payout in linked:
        books.payout_moved(payout, None)
    for payout, old in moves:
        books.payout_moved(payout, old)
    for row in sightings.transitions:
        move = f"{row.transition.from_status or 'not seen'} → {row.payout.status}"
        before = done.get(row.payout.stripe_id)
        done[row.payout.stripe_id] = f"{before}; {move}" if before else move
    sightings.write(connection)
    books.write()
    return done


def settle_transfers(
    connection: Connection, make_id: IdMaker, now_ms: int, found: Sequence[FoundTransfer]
) -> dict[str, str]:
    """Record transfers, and reversals of them, that Stripe has made for open legs; by Stripe's id, what that
    changed."""
    books = Books(connection, make_id, now_ms)
    books.load({each.leg.request_id for each in found})
    done = {}
    for each in found:
        before = books.legs[each.leg.id]
        books.leg_made(before, MadeLeg(each.seen.id))
        if books.legs[each.leg.id] is not before:
            done[each.seen.id] = _MADE
        if each.reversal is not None and _note_reversal(books, each):
            done[each.seen.id] = "the open reversal is recorded as made"
    books.write()
    return done


def _note_made(books: Books, sightings: Sightings, legs: Mapping[str, Leg]) -> dict[str, str]:
    done = {}
    for stripe_id, leg in legs.items():
        before, payout = books.legs[leg.id], sightings.payout(stripe_id)
        if payout is None:
            continue
        if not books.leg_made(before, MadeLeg(stripe_id)):
            text = f"Stripe has a second payout for one leg of {leg.request_id}: {stripe_id}"
            sightings.alert(Cause(payout.account), payout, (Alert("alert.payout_duplicate", text),))
        elif books.legs[leg.id] is not before:
            done[stripe_id] = _MADE
    return done


def _note_reversal(books: Books, each: FoundTransfer) -> bool:
    if each.reversal is None:
        return False
    open_leg, reversal = each.reversal
    before = books.legs[open_leg.id]
    made = books.leg_made(before, MadeLeg(reversal.id))
    books.transfer_reversed(books.legs[each.leg.id], each.seen.amount_reversed)
    return made and books.legs[open_leg.id] is not before


def _legs_named(connection: Connection, account: str, found: Sequence[PayoutObject]) -> dict[str, Leg]:
    named = {seen.id: leg_id_in(seen.metadata, METADATA_LEG) for seen in found}
    legs = legs_by_id(connection, {leg_id for leg_id in named.values() if leg_id is not None})
    fitting = {}
    for seen in found:
        leg = legs.get(named[seen.id] or 0)
        # Whoever holds the account can write any metadata: it counts only where all else fits.
        if leg is None or leg.kind != LegKind.PAYOUT or leg.account != account:
            continue
        same = (leg.amount_minor, leg.currency) == (seen.amount, seen.currency.lower())
        if same and leg.stripe_id in (None, seen.id):
            fitting[seen.id] = leg
    return fitting
