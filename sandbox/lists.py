"""Lists, newest first, paged by cursors."""

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from sandbox.calls import Call
from sandbox.errors import bad_parameter, missing_parameter
from sandbox.objects import listed
from sandbox.params import Params, Range
from sandbox.shared import Json
from sandbox.shelf import Shelf

MAX_LIMIT = 100
DEFAULT_LIMIT = 10
_COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def page(
    call: Call,
    shelf: Shelf,
    url: str,
    keep: Callable[[Json], bool] = lambda thing: True,
    *,
    owner: str | None = None,
    dated: bool = True,
    since_s: int | None = None,
) -> Json:
    """One page of the objects of `owner` (else of the call's account) that `keep` agrees to.

    Reads `limit`, `starting_after`, `ending_before` and, of objects that are `dated`, `created`; call it when
    the other parameters are read. `since_s` hides what is older.
    """
    params = call.params
    limit = _limit(params)
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        raise bad_parameter("ending_before", "You may only specify one of starting_after and ending_before.")
    owner = owner or call.account
    things = shelf.of(owner)
    first, end = 0, len(things)  # oldest first
    created = params.range("created") if dated else None
    params.finish()
    for compare, bound in _bounds(created, since_s):
        side = bisect_left if compare in ("gte", "lt") else bisect_right
        place = side(things, bound, key=_created)
        first, end = (max(first, place), end) if compare in ("gt", "gte") else (first, min(end, place))
    if after:
        end = min(end, _place(shelf, owner, after, "starting_after"))
    if before:
        first = max(first, _place(shelf, owner, before, "ending_before") + 1)
        found = _take((things[place] for place in range(first, end)), keep, limit + 1)
        return listed(found[:limit][::-1], url, len(found) > limit)
    found = _take((things[place] for place in range(end - 1, first - 1, -1)), keep, limit + 1)
    return listed(found[:limit], url, len(found) > limit)


def within(value: int, wanted: Range | None) -> bool:
    if wanted is None:
        return True
    return all(_COMPARE[compare](value, bound) for compare, bound in wanted.items())


def _limit(params: Params) -> int:
    limit = params.integer("limit")
    if limit is not None and not 1 <= limit <= MAX_LIMIT:
        raise bad_parameter("limit", f"Invalid limit: must be from 1 to {MAX_LIMIT}")
    return limit or DEFAULT_LIMIT


def _created(thing: Json) -> int:
    created: int = thing["created"]
    return created


def _bounds(created: Range | None, since_s: int | None) -> list[tuple[str, int]]:
    return [*(created or {}).items(), *([("gte", since_s)] if since_s is not None else [])]


def _place(shelf: Shelf, owner: str, id_: str, param: str) -> int:
    if shelf.find(owner, id_) is None:
        raise missing_parameter(shelf.kind, id_, param)
    return shelf.place(id_)


def _take(things: Iterable[Json], keep: Callable[[Json], bool], most: int) -> list[Json]:
    found: list[Json] = []
    for thing in things:
        if keep(thing):
            found.append(thing)
            if len(found) == most:
                break
    return found
