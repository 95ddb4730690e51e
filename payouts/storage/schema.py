"""The whole schema: every table of the service in one `metadata`, for migrations and checks."""

from payouts.storage import (
    archive_tables,
    catch_up_tables,
    check_tables,
    difference_tables,
    failure_tables,
    guard_tables,
    maintenance_tables,
    money_tables,
    notice_tables,
    people_tables,
    recovery_tables,
    replay_tables,
    replica,
    tables,
)
from payouts.storage.columns import metadata

__all__ = [
    "archive_tables",
    "catch_up_tables",
    "check_tables",
    "difference_tables",
    "failure_tables",
    "guard_tables",
    "maintenance_tables",
    "metadata",
    "money_tables",
    "notice_tables",
    "people_tables",
    "recovery_tables",
    "replay_tables",
    "replica",
    "tables",
]
