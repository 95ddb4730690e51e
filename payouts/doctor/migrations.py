"""Migrations: has the database the tables that this code needs?"""

from payouts.doctor.finding import Check, Finding, bad, ok, warning
from payouts.storage.revisions import Revisions


def judge_migrations(found: Revisions) -> list[Finding]:
    """One finding on the database's revision."""
    check, upgrade = Check.MIGRATIONS, "run `payouts db upgrade`"
    if found.current is None:
        return [bad(check, "the database has no tables yet", upgrade)]
    if found.current == found.newest:
        return [ok(check, f"the database is at revision {found.newest}, the newest")]
    if found.is_known:
        text = f"the database is at revision {found.current}, this code needs {found.newest}"
        return [bad(check, text, upgrade)]
    # Migrations keep the version before running, so that versions can be rolled out and back.
    text = f"the database is at revision {found.current}, newer than this code, which has {found.newest}"
    return [warning(check, text, "finish rolling out the newer version")]
