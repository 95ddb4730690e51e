"""What an update changed, as an event's `previous_attributes` tells it."""

from typing import cast

import msgspec

from sandbox.shared import Json


def copy(thing: Json) -> Json:
    """A copy to compare with later."""
    return cast(Json, msgspec.json.decode(msgspec.json.encode(thing)))


def previous(before: Json, after: Json) -> Json:
    """The old values of what differs; None for what was not there."""
    found: Json = {}
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        found[key] = previous(old, new) if isinstance(old, dict) and isinstance(new, dict) else old
    return found
