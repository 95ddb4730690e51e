"""Deciding on what one has seen: where a payout has moved since, nothing is done and one is told."""

from sqlalchemy import Connection

from payouts.errors import RefusedError
from payouts.request import no_request
from payouts.storage.partner_rows import lock_partners
from payouts.storage.request_queries import newest_move
from payouts.storage.request_rows import lock_requests, partner_ids_of


def check_seen(connection: Connection, request_id: int, seen_move_id: int) -> None:
    """Nothing, where the newest move of the request is the one that was seen; it can then make no other one
    before this transaction ends, as the partner and the request stay locked.

    Raises NotFoundError; RefusedError `stale`, with what happened meanwhile. It matters where a state is come
    back to: a payout that was returned, sent again and returned once more is not the one that was looked at.
    """
    lock_partners(connection, partner_ids_of(connection, [request_id]).values())
    request = lock_requests(connection, [request_id]).get(request_id)
    if request is None:
        raise no_request(request_id)
    move = newest_move(connection, request_id)
    if move is not None and move["id"] != seen_move_id:
        raise RefusedError(
            "stale",
            f"nothing was done: {request.public_id} is {request.status} by now "
            f"({move['actor'] or 'the service'}: {move['reason']}), and your page was made before that",
        )
