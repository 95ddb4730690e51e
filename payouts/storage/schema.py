"""The whole schema: every table of the service in one `metadata`, for migrations and checks."""

from payouts.storage import (
    catch_up_tables,
    difference_tables,
    money_tables,
    notice_tables,
    people_tables,
    tables,
)
from payouts.storage.columns import metadata

__all__ = [
    "catch_up_tables",
    "difference_tables",
    "metadata",
    "money_tables",
    "notice_tables",
    "people_tables",
    "tables",
]
