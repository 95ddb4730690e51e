"""A notice that says nothing but that the channels work: written by a person, to see it arrive."""

from sqlalchemy import Connection

from payouts.alerts import TEST, TEST_CRITICAL
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.storage import audit_rows
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice


def try_channels(
    connection: Connection,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
    *,
    critical: bool = False,
) -> str:
    """Tell operators and the portal of a test; `critical`: whoever is on call, too. The notice's name.

    Raises RefusedError `reason_missing`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    name = TEST_CRITICAL if critical else TEST
    text = f"a test by {actor.name}, nothing is wrong: {reason}"
    insert_platform_notice(connection, PlatformNotice(name, now_ms, text, str(make_id())), make_id)
    audit_rows.append(
        *(connection, make_id, now_ms), actor=actor.name, action="notice.test", subject=name, reason=reason
    )
    return name
