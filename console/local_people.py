"""The people of a `payouts up` folder: two admins, so that four eyes can be tried on one machine."""

from typing import TYPE_CHECKING

from console.data_dir import DataDir
from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.people import BOOTSTRAP, Role
from payouts.tokens import DAY_MS, MAX_DAYS, TokenError

if TYPE_CHECKING:
    from sqlalchemy import Engine

NAMES = ("operator-1", "operator-2")
RENEWED_BEFORE_MS = 30 * DAY_MS


def admit_operators(folder: DataDir, engine: "Engine") -> None:
    """See to it that each of NAMES is there and that the folder's settings hold a token for them.

    Made at the first start and renewed well before it ends. Who was deactivated is left alone.
    """
    from payouts.access import Step, add_person, give_person_token
    from payouts.storage.people_rows import find_person

    kept = folder.people()
    for name in NAMES:
        if _still_works(engine, kept.get(name)):
            continue
        with engine.begin() as connection:
            step = Step(connection, IdMaker(), now_ms(), BOOTSTRAP)
            person = find_person(connection, name) or add_person(step, name, Role.ADMIN)
            if not person.active:
                kept.pop(name, None)
                continue
            kept[name] = give_person_token(step, person, "folder", None, MAX_DAYS).secret
            # Written before the commit: a token that nobody made is made anew, one that nobody has is lost.
            folder.keep_people(kept)
    folder.keep_people({name: kept[name] for name in NAMES if name in kept})


def console_token(folder: DataDir, engine: "Engine") -> str | None:
    """A token to sign in to the console with, for the first of NAMES; None where one was shown before."""
    from payouts.access import Step, give_person_token
    from payouts.storage.people_rows import find_person

    if folder.console_token_shown:
        return None
    with engine.begin() as connection:
        person = find_person(connection, NAMES[0])
        if person is None or not person.active:
            return None
        step = Step(connection, IdMaker(), now_ms(), BOOTSTRAP)
        return give_person_token(step, person, "browser", None, MAX_DAYS).secret


def _still_works(engine: "Engine", token: str | None) -> bool:
    from payouts.storage.people_rows import look_up

    if token is None:
        return False
    try:
        look_up(engine, token, now_ms() + RENEWED_BEFORE_MS)
    except TokenError:
        return False
    return True
