"""The whole schema: every table of the service in one `metadata`, for migrations and checks."""

from payouts.storage import (
    difference_tables,
    failure_tables,
    money_tables,
    notice_tables,
    people_tables,
    replay_tables,
    tables,
)
from payouts.storage.columns import metadata

__all__ = [
    "difference_tables",
    "failure_tables",
    "metadata",
    "money_tables",
    "notice_tables",
    "people_tables",
    "replay_tables",
    "tables",
]
