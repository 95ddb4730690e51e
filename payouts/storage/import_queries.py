"""What an import asks about what it brought over before."""

from collections.abc import Iterable

from sqlalchemy import Connection, tuple_

from payouts.request import PayoutRequest
from payouts.storage.money_tables import payout_requests
from payouts.storage.request_rows import REQUESTS


def requests_by_reference(
    connection: Connection, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], PayoutRequest]:
    """The requests with these accounts and references."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    r = payout_requests.c
    found = REQUESTS.find(connection, tuple_(r.account, r.reference).in_(wanted))
    return {(request.account, request.reference or ""): request for request in found}
