"""The types that are said to be acted on are those that a batch routes."""

import pytest

from payouts.batch import ACCOUNT_TYPES, BALANCE_AVAILABLE, PAYOUT_TYPES, TRANSFER_TYPES
from payouts.handled import HANDLED_CONNECT_TYPES, HANDLED_PLATFORM_TYPES


@pytest.mark.parametrize("types", [HANDLED_PLATFORM_TYPES, HANDLED_CONNECT_TYPES])
def test_each_type_is_there_once(types: tuple[str, ...]) -> None:
    assert len(set(types)) == len(types)


def test_every_type_has_a_route_and_every_route_a_type() -> None:
    routes = (PAYOUT_TYPES, TRANSFER_TYPES, *ACCOUNT_TYPES, BALANCE_AVAILABLE)
    types = {*HANDLED_PLATFORM_TYPES, *HANDLED_CONNECT_TYPES}
    assert [type_ for type_ in types if not type_.startswith(routes)] == []
    assert [route for route in routes if not any(type_.startswith(route) for type_ in types)] == []


def test_transfers_are_the_platforms_and_accounts_the_partners() -> None:
    assert not any(type_.startswith(TRANSFER_TYPES) for type_ in HANDLED_CONNECT_TYPES)
    assert not any(type_.startswith(ACCOUNT_TYPES) for type_ in HANDLED_PLATFORM_TYPES)
