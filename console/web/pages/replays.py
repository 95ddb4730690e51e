"""Replays: what one would change, asking for it, and following it."""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from starlette.responses import Response

from console.web.call import Call
from console.web.listing import listed
from console.web.selecting import as_fields, as_query, selection_of
from console.web.verb import Field, Verb
from payouts import replaying
from payouts.errors import NotFoundError, RefusedError
from payouts.people import Scope
from payouts.replay import (
    OPEN_REPLAY_STATUSES,
    RATE_PER_S,
    ItemOutcome,
    Replay,
    ReplayStatus,
    Selection,
    replay_id_of,
)
from payouts.states import EventStatus
from payouts.storage.queries import reading
from payouts.storage.replay_rows import (
    details_of,
    find_replay,
    item_list,
    newest_id,
    replay_list,
    require_named,
    walk_selected,
)
from payouts.what_if import Change

TRIED_FIRST = 20
"""Events that a page tries out at once: with each of them goes a transaction that is taken back."""
TRIED_MOST = 500
"""Events that it tries out where that is asked for; `payouts replay start --dry-run` tries 10,000."""
TRIED_FOR_S = 8.0
"""After so long a page shows what it has tried by then."""
ITEMS = 100
COUNTED_MOST = 2_000
"""Events of each outcome that are counted by why they came to it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What was tried, and whether that was all of it."""

    changes: Sequence[Change]
    events: int
    """How many were selected, up to one more than TRIED_MOST."""
    tried: int

    @property
    def is_whole(self) -> bool:
        return self.tried == self.events <= TRIED_MOST

    @property
    def can_go_on(self) -> bool:
        """Whether the page itself can try more."""
        return self.tried <= TRIED_FIRST and not self.is_whole

    @property
    def changing(self) -> list[Change]:
        """Those that would not stay as they are, or of which an event would end otherwise."""
        return [each for each in self.changes if not each.is_nothing or _ends_anew(each)]

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many events would come from which status to which."""
        counted = Counter(f"{one.status} → {one.outcome}" for each in self.changes for one in each.events)
        return dict(counted.most_common())


def replays(call: Call) -> Response:
    """Replays, newest first."""
    page = listed(call, replay_list, {"status": "status"})
    return call.page(
        "replays.html", title="Replays", data=list(page.rows), page=page, statuses=list(ReplayStatus)
    )


def new(call: Call) -> Response:
    """A form that selects events."""
    return call.page("replay_new.html", title="A new replay", data={}, statuses=list(EventStatus))


def preview(call: Call) -> Response:
    """What a replay of the events that the address names would change, and the form to ask for it."""
    values = _values(call)
    wanted = selection_of(values)
    made = _tried(call, wanted)
    data = {
        "selection": str(wanted),
        "events": made.events,
        "tried": made.tried,
        "changes": [dataclasses.asdict(each) for each in made.changes],
    }
    return call.page(
        "replay_preview.html",
        title="What a replay would change",
        data=data,
        wanted=wanted,
        preview=made,
        most=TRIED_MOST,
        query=as_query(values),
        ask=_ask(values, made, call),
    )


def ask(call: Call) -> Response:
    """Ask for a replay."""
    wanted, rate = selection_of(call.lists), _rate(call)
    require_named(call.connection, wanted)
    made = call.do(
        lambda connection, actor, make_id, at_ms: replaying.ask(
            connection, wanted, actor, call.reason, make_id, at_ms, rate
        )
    )
    call.hint(lambda messages: messages.replay(made.id))
    said = f"{made.public_id} is asked for: its events are found now, then run in their order"
    return call.back(f"/replays/{made.public_id}", said, {"replay": made.public_id})


def replay(call: Call) -> Response:
    """One replay: how far it is, and what came of its events."""
    found = _found(call)
    outcome = call.asked("outcome")
    if outcome is not None and outcome not in set(ItemOutcome):
        raise RefusedError(
            "bad_outcome", f"an outcome is one of {', '.join(ItemOutcome)}, not {outcome[:40]!r}"
        )
    after = call.number("after") or 0
    outcomes = [ItemOutcome(outcome)] if outcome else []
    items = item_list(call.connection, found.id, after, ITEMS + 1, outcomes)
    data = {**dataclasses.asdict(found), "done": found.done, "events": items[:ITEMS]}
    return call.page(
        "replay.html",
        title=found.public_id,
        data=data,
        replay=found,
        wanted=Selection.from_json(found.selection),
        details=details_of(call.connection, found.id, COUNTED_MOST) if found.total else [],
        counted_most=COUNTED_MOST,
        counted_all=found.total <= COUNTED_MOST,
        items=items[:ITEMS],
        more=call.here(after=str(items[ITEMS - 1]["inbox_id"])) if len(items) > ITEMS else None,
        outcomes=list(ItemOutcome),
        outcome=outcome,
        verbs=_verbs(found, call),
    )


def confirm(call: Call) -> Response:
    """Let a large replay begin."""
    return _change(call, lambda c, r, a, m, t: replaying.confirm(c, r, a, m, t), "begins")


def pause(call: Call) -> Response:
    """Stop for now."""
    return _change(call, lambda c, r, a, m, t: replaying.pause(c, r, a, call.reason, m, t), "is paused")


def resume(call: Call) -> Response:
    """Go on."""
    return _change(call, lambda c, r, a, m, t: replaying.resume(c, r, a, m, t), "goes on")


def rate(call: Call) -> Response:
    """Change how fast it runs."""
    per_s = _rate(call)
    what = f"runs at {per_s} events a second at the most" if per_s else "runs as fast as it can"
    return _change(call, lambda c, r, a, m, t: replaying.set_rate(c, r, per_s, a, m, t), what)


def cancel(call: Call) -> Response:
    """Call it off."""
    return _change(call, lambda c, r, a, m, t: replaying.cancel(c, r, a, call.reason, m, t), "is called off")


def _change(call: Call, verb: Callable[..., Replay], said: str) -> Response:
    replay_id = replay_id_of(call.path("key"))
    changed = call.do(
        lambda connection, actor, make_id, at_ms: verb(connection, replay_id, actor, make_id, at_ms)
    )
    call.hint(lambda messages: messages.replay(changed.id))
    return call.back(f"/replays/{changed.public_id}", f"{changed.public_id} {said}")


def _tried(call: Call, wanted: Selection) -> Preview:
    what_if, events = call.parts.what_if, []
    with reading(call.parts.engine) as connection:
        require_named(connection, wanted)
        for page in walk_selected(connection, wanted, newest_id(connection), TRIED_MOST + 1):
            events += page
            if len(events) > TRIED_MOST:
                break
    if not events:
        raise NotFoundError(f"no event fits: {wanted}")
    until_s, changes = time.monotonic() + TRIED_FOR_S, []
    # Whoever reads by a program is told of all that are tried at the most, as is who asks for it.
    most = TRIED_MOST if call.wants_json or call.asked("try") == "all" else TRIED_FIRST
    for change in what_if.preview(events[:most]):
        changes.append(change)
        if time.monotonic() > until_s:
            break
    tried = sum(len(change.events) or 1 for change in changes)
    return Preview(changes, min(len(events), TRIED_MOST + 1), min(tried, len(events)))


def _ends_anew(change: Change) -> bool:
    return any(tried.status != tried.outcome for tried in change.events)


def _values(call: Call) -> dict[str, list[str]]:
    params = call.request.query_params
    return {name: params.getlist(name) for name in params}


def _found(call: Call) -> Replay:
    found = find_replay(call.connection, replay_id_of(call.path("key")))
    if found is None:
        raise NotFoundError(f"there is no replay {call.path('key')[:40]}")
    return found


def _rate(call: Call) -> int:
    text = call.form.get("rate", str(RATE_PER_S)).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise RefusedError("bad_rate", f"a rate is a number of events a second, not {text[:20]!r}")
    return int(text)


RATE = Field("rate", "Events a second at the most", "number", str(RATE_PER_S), hint="0: no limit")


def _ask(values: Mapping[str, Sequence[str]], made: Preview, call: Call) -> Verb:
    many = f"more than {TRIED_MOST}" if made.events > TRIED_MOST else str(made.events)
    above = call.parts.settings.replay_confirm_above
    if made.events == 1:
        label, says = "Replay this event", "Runs 1 event once more. What is right already stays as it is."
    else:
        label = "Replay"
        says = (
            f"Runs {many} events once more, oldest first. What is right already stays as it is. "
            f"More than {above:,} wait for a second person first."
        )
    return Verb(
        label,
        says,
        "/replays",
        fields=(RATE,),
        hidden=as_fields(values),
        open=True,
    )


def _verbs(found: Replay, call: Call) -> list[Verb]:
    at = f"/replays/{found.public_id}"
    left = found.total - found.done
    verbs = []
    if found.status == ReplayStatus.AWAITING_CONFIRMATION:
        asked_it = call.actor.person_id is not None and call.actor.person_id == found.requested_by_person
        why_not = "you asked for it: another person must confirm it" if asked_it else None
        says = f"Lets it begin: {found.total:,} events that {found.requested_by} wants run once more."
        verbs.append(
            Verb("Confirm", says, f"{at}/confirm", Scope.APPROVE, needs_reason=False, why_not=why_not)
        )
    if found.status == ReplayStatus.RUNNING:
        verbs.append(Verb("Pause", f"Stops after the events under way; {left:,} are left.", f"{at}/pause"))
    if found.status == ReplayStatus.PAUSED:
        verbs.append(
            Verb("Go on", f"Goes on with the {left:,} that are left.", f"{at}/resume", needs_reason=False)
        )
    if found.status in OPEN_REPLAY_STATUSES:
        field = dataclasses.replace(RATE, value=str(found.rate_per_s))
        says = "Changes how fast it runs, at once."
        verbs.append(Verb("Change the rate", says, f"{at}/rate", needs_reason=False, fields=(field,)))
        says = f"Calls it off: {left:,} events are not run. Those that had their turn stay as they are."
        verbs.append(Verb("Call off", says, f"{at}/cancel", danger=True))
    return verbs


ROUTES = (
    ("GET", "/replays", replays, Scope.READ),
    ("POST", "/replays", ask, Scope.OPERATE),
    ("GET", "/replays/new", new, Scope.READ),
    ("GET", "/replays/preview", preview, Scope.READ),
    ("GET", "/replays/{key}", replay, Scope.READ),
    ("POST", "/replays/{key}/confirm", confirm, Scope.APPROVE),
    ("POST", "/replays/{key}/pause", pause, Scope.OPERATE),
    ("POST", "/replays/{key}/resume", resume, Scope.OPERATE),
    ("POST", "/replays/{key}/rate", rate, Scope.OPERATE),
    ("POST", "/replays/{key}/cancel", cancel, Scope.OPERATE),
)
