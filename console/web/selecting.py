"""How an address names events: the filters of a replay, as parameters."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from console.output import parse_time
from payouts.errors import PayoutsError, RefusedError
from payouts.replay import Selection
from payouts.request import PREFIX, row_id_of

SINGLE = ("group", "status", "type", "account", "object", "error", "since", "until")
"""Parameters that are given once; `event` may be given many times."""

Values = Mapping[str, Sequence[str]]


def selection_of(values: Values) -> Selection:
    """The events that `values` name: parameters of an address or fields of a form. RefusedError for none."""
    events = tuple(event for text in values.get("event", ()) for event in text.replace(",", " ").split())
    bad = [event for event in events if not event.startswith("evt_")]
    if bad:
        raise RefusedError("bad_event", f"{bad[0][:40]!r} is no event: ids read as evt_…")
    one = {name: _last(values, name) for name in SINGLE}
    about = one["object"]
    request_id = row_id_of(about) if about is not None and about.startswith(PREFIX) else None
    return Selection(
        events=events,
        fingerprint=one["group"],
        status=one["status"],
        type=one["type"],
        account=one["account"],
        object_id=None if request_id is not None else about,
        request_id=request_id,
        error=one["error"],
        since_ms=_time(one["since"]),
        until_ms=_time(one["until"]),
    )


def as_query(values: Values) -> str:
    """The same names as the query of an address."""
    kept = [("event", event) for event in values.get("event", ()) if event.strip()]
    kept += [(name, value) for name in SINGLE if (value := _last(values, name)) is not None]
    return urlencode(kept)


def as_fields(values: Values) -> tuple[tuple[str, str], ...]:
    """The same names as hidden fields of a form."""
    kept = [("event", event) for event in values.get("event", ()) if event.strip()]
    return (*kept, *((name, value) for name in SINGLE if (value := _last(values, name)) is not None))


def _last(values: Values, name: str) -> str | None:
    found = [value.strip() for value in values.get(name, ()) if value.strip()]
    return found[-1] if found else None


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except PayoutsError as error:
        raise RefusedError("bad_time", str(error)) from None
