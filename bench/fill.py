"""Fills the inbox with finished events, as a year of traffic would have left it."""

from concurrent.futures import ThreadPoolExecutor

from bench.bed import Bed
from bench.events import new_events
from payouts.storage.bulk import insert_rows
from payouts.storage.inbox import _COLUMNS, _row
from payouts.storage.tables import inbox

PARTS = 4


def fill(bed: Bed, rows: int) -> None:
    """`rows` applied events, in the order of their ids."""

    def part(number: int) -> None:
        for group in new_events(rows // PARTS):
            values = [(*row[:12], "applied", *row[13:]) for row in map(_row, group)]
            with bed.engine.begin() as connection:
                insert_rows(connection, inbox, _COLUMNS, values)

    with ThreadPoolExecutor(PARTS) as pool:
        list(pool.map(part, range(PARTS)))
