"""The accounts that a command goes through: the platform's, then every partner's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine


def accounts(engine: "Engine") -> Iterator[str]:
    """Each account, the platform first; a transaction for each, none in between."""
    from payouts.storage.columns import PLATFORM
    from payouts.storage.queries import reading
    from payouts.storage.round_rows import partner_after

    yield PLATFORM
    partner_id = 0
    while True:
        with reading(engine) as connection:
            following = partner_after(connection, partner_id)
        if following is None:
            return
        partner_id, account = following
        yield account


def count_accounts(engine: "Engine") -> int:
    """How many there are."""
    from payouts.storage.queries import reading
    from payouts.storage.round_rows import count_partners

    with reading(engine) as connection:
        return 1 + count_partners(connection)
