"""Reversals and their originals: which request a reversal belongs to, found out once that is certain.

A reversal is a payout of its own that names its original, and Stripe may tell of either first. It is recorded
at once, as foreign, and waits for nothing. It belongs to the request of its original, and moves that
request's books, from the moment at which the original is known as paid: before, there is nothing that it
could take back. Whatever comes last, an event of the one or of the other, links the two.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from payouts.event import PayoutObject, id_of
from payouts.machine import Payout
from payouts.sightings import Sightings
from payouts.states import PayoutStatus
from payouts.storage.payout_rows import lock_payouts

_PAID = (PayoutStatus.PAID, PayoutStatus.REVERSED)


def lock_with_counterparts(connection: Connection, seen: Iterable[PayoutObject]) -> dict[str, Payout]:
    """Lock, in one order, the payouts that were seen, what they reverse and what reverses them."""
    wanted = set()
    for each in seen:
        wanted |= {each.id, id_of(each.original_payout), id_of(each.reversed_by)}
    return lock_payouts(connection, {stripe_id for stripe_id in wanted if stripe_id})


def link_reversals(connection: Connection, sightings: Sightings) -> list[Payout]:
    """Link the reversals among `sightings`, and those of payouts among them, to their requests.

    Returns those that were linked: the books go from nothing to their states. To be called when new payouts
    are inserted: of two transactions that see a reversal and its original at the same time, the second then
    waits for the first one's lock here, and finds what it wrote.
    """
    known = sightings.known()
    unlinked = [payout for payout in known.values() if _is_unlinked(payout)]
    reversed_ = [payout for payout in known.values() if payout.reversed_by and _can_be_reversed(payout)]
    wanted = {payout.original_payout for payout in unlinked} | {payout.reversed_by for payout in reversed_}
    missing = lock_payouts(connection, {key for key in wanted if key} - known.keys())
    sightings.held |= missing
    unlinked += [payout for payout in missing.values() if _is_unlinked(payout)]
    linked = []
    for reversal in unlinked:
        original = sightings.payout(reversal.original_payout or "")
        if original is not None and original.request_id is not None and _fits(reversal, original):
            linked.append(sightings.link(reversal, original.request_id))
    return linked


def _is_unlinked(payout: Payout) -> bool:
    return payout.amount_minor < 0 and payout.request_id is None and payout.original_payout is not None


def _can_be_reversed(payout: Payout) -> bool:
    return payout.amount_minor > 0 and payout.request_id is not None and payout.status in _PAID


def _fits(reversal: Payout, original: Payout) -> bool:
    """Whether the one takes back the whole of the other, as Stripe's reversals do."""
    mine = (reversal.account, reversal.amount_minor, reversal.currency)
    return _can_be_reversed(original) and mine == (
        original.account,
        -original.amount_minor,
        original.currency,
    )
