"""How soon each page of the console answers: with every filter, by values of many rows, of few and of none.

Over HTTP, by a session, one page after another. A page is measured if this version has it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from sqlalchemy import Connection

from bench.console_rows import DAY_MS, REQUEST_STATUS_OF_FEW, STATUS_OF_FEW, TYPE_OF_FEW, Size
from payouts.ids import floor_id
from payouts.period import month_of
from payouts.storage.schema import metadata

GOAL_MS = 150
SLOW_MS = 1_000
"""What takes longer is asked for three times: it misses the goal anyhow."""


@dataclass(frozen=True, slots=True)
class Took:
    """One address: the first answer apart, then the others, in ms."""

    path: str
    cold_ms: float
    p50_ms: float
    p95_ms: float
    most_ms: float


def asked(client: httpx.Client, paths: list[str], times: int) -> Iterator[Took]:
    """How long each takes; of a page that fails, how long that took."""
    for path in paths:
        answer, cold_ms = _get(client, path)
        if answer.status_code == 404:
            continue  # a page of another version
        if answer.status_code not in (200, 303):
            yield Took(f"{path} failed: {answer.status_code}", cold_ms, cold_ms, cold_ms, cold_ms)
            continue
        again = times if cold_ms < SLOW_MS else 3
        took = sorted(_get(client, path)[1] for _ in range(again))
        yield Took(path, cold_ms, took[len(took) // 2], took[int(len(took) * 0.95)], took[-1])


def paths_of(connection: Connection, size: Size) -> list[str]:
    """The addresses to ask for."""
    find = _Finder(connection)
    large, small = (_account(number) for number in (0, size.partners - 1))
    middle, old = (floor_id(size.until_ms - days * DAY_MS) for days in (90, 172))
    lists = {
        "/events": [
            *("status=applied", "status=dead", f"status={STATUS_OF_FEW}", "status=retrying"),
            *("type=payout.paid", "type=payout.canceled", f"type={TYPE_OF_FEW}", "type=payout.unheard_of"),
            *(f"account={large}", f"account={small}", "account=acct_none", f"account={large}&status=dead"),
            *(f"account={small}&type=payout.paid", f"account={large}&type={TYPE_OF_FEW}"),
            *(f"account={small}&status={STATUS_OF_FEW}", "status=ignored&type=balance.available"),
            *(f"type={TYPE_OF_FEW}&status=dead", "type=payout.canceled&status=ignored"),
            *("type=balance.available&status=applied", f"account={large}&status=retrying"),
            *("object=po_none", "since=1h", "until=170d", "since=172d&until=170d&status=dead"),
            *("error=settlement", "error=step+39", "error=unheard", "error=settlement&type=payout.paid"),
            *(f"error=settlement&account={large}", f"error=settlement&type={TYPE_OF_FEW}"),
            *("type=payout.paid&status=applied", f"type=account.updated&status=applied&account={large}"),
        ],
        "/dead": [
            *("status=dead", "status=dismissed", "type=payout.paid", "type=payout.canceled"),
            *(f"account={large}", f"account={small}", "error=settlement", "error=unheard", "since=1d"),
        ],
        f"/dead/{0:016x}": ["type=payout.paid", f"account={large}", f"account={small}"],
        f"/dead/{39:016x}": ["type=payout.paid", f"account={large}", f"account={small}"],
        "/replays": ["status=done", "status=canceled", "status=running"],
        "/payouts": [
            *("status=paid", "status=queued", "status=awaiting_approval", "status=returned"),
            *(f"status={REQUEST_STATUS_OF_FEW}", "status=shadowed", "waits_for=hold", "waits_for=limit"),
            *("reference=r-500000", "reference=none", f"partner={large}", f"partner={small}"),
            *(f"partner={large}&status=returned", f"partner={large}&status=shadowed"),
            *("waits_for=hold&status=queued", "since=1h", "until=170d", f"partner={large}&waits_for=hold"),
        ],
        "/payouts/at-stripe": [
            *("status=paid", "status=in_transit", "status=reversed", f"account={large}", f"account={small}"),
            *(f"account={large}&status=failed", f"account={large}&status=reversed", "origin=foreign"),
            *("until=170d", "status=pending"),
        ],
        "/approvals": [],
        "/partners": [
            *("state=ready", "state=restricted", "state=blocked", "reference=partner-1", "reference=nobody"),
            *("reference=partner-&state=blocked", "reference=partner-19999"),
        ],
        "/audit": [
            *("actor=anna", "actor=nobody", "action=person.disabled", "action=payout.approve"),
            *("action=person.disabled&since=180d", "action=unheard.of&since=180d", "account=platform"),
            *("actor=anna&action=person.disabled", "subject=pay_1", "chain=platform/2026-08", "until=170d"),
        ],
        "/ledger": [],
        "/ledger/transactions": [
            *("kind=credit", "kind=payout_paid", "kind=adjustment", "reference=posted:77", "reference=none"),
            *(f"partner={large}", f"partner={small}", f"partner={large}&kind=credit"),
            *(f"partner={large}&kind=adjustment", "since=1h", "until=170d"),
        ],
        "/ledger/invariants": [],
        "/ledger/closes": [],
        "/reconciliation": [
            *("kind=status", "kind=unreadable", f"account={large}", f"account={small}", "tab=healed"),
            *("tab=healed&kind=status", "tab=healed&kind=unreadable", f"tab=healed&account={large}"),
            f"tab=healed&account={small}&kind=amount",
        ],
        "/reconciliation/rounds": [],
        "/completeness": [f"account={large}", f"account={small}", "account=platform", "month=2026-08"],
        "/completeness/proofs": [f"account={large}", f"account={small}", "verdict=missing", "until=170d"],
        "/completeness/walks": [f"account={large}", "status=done", "status=running"],
        "/completeness/accounts": [f"account={large}"],
        "/operations": [],
        "/operations/limits": [],
        "/operations/payout-limits": [],
        "/operations/schedules": [],
        "/operations/notices": [
            *("status=dead", "status=delivered", "status=pending", "name=payout.completed"),
            *(f"account={large}", f"account={small}", "status=dead&name=payout.completed"),
            *(f"account={large}&status=dead", "name=unheard.of", "status=dead&name=unheard.of"),
        ],
        "/people": [],
        "/me": [],
    }  # fmt: skip
    month = month_of(size.until_ms - 90 * DAY_MS)
    paths = ["/", *(f"/?hours={hours}" for hours in (1, 24, 48))]
    paths += [f"/find?q={what}" for what in (large, small, "partner-1", "po_none", "nobody", "77", "po none")]
    for path, filters in lists.items():
        paths.append(path)
        paths += [f"{path}?{one}" for one in filters]
        paths += [f"{path}?before={one}" for one in (middle, old)]
        paths += [f"{path}?{one}&before={middle}" for one in filters[:2]]
    previews = [
        *("status=dead", f"group={0:016x}", f"group={39:016x}", f"account={large}", "type=payout.canceled"),
        *(f"type={TYPE_OF_FEW}", "since=1d", "error=settlement", "type=payout.paid&status=applied"),
        f"account={small}&status=dead",
    ]
    paths += [f"/replays/preview?{one}" for one in previews]
    paths += find.single_pages()
    partner = find.one("id FROM partners ORDER BY id")
    paths += [f"/partners/{partner}/statement?month={one}" for one in (month, month.next)]
    place = find.one(
        f"CONCAT(effective_at_ms, '-', id) FROM ledger_transactions WHERE partner_id = {partner} "
        f"AND effective_at_ms > {month.next.from_ms} ORDER BY effective_at_ms, id"
    )
    paths.append(f"/partners/{partner}/statement?month={month.next}&behind={place}")
    for table in metadata.sorted_tables:
        paths.append(f"/data/{table.name}/list")
        if "id" in table.c:
            paths.append(f"/data/{table.name}/list?before={middle}")
    return paths


class _Finder:
    """Rows to look at: new ones, old ones, and those with most around them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def single_pages(self) -> list[str]:
        made = []
        for page, what in _SINGLE:
            found = self.one(what)
            if found is not None:
                made.append(page.format(found))
        return made

    def one(self, what: str) -> object:
        """The first of what is selected."""
        return self._connection.exec_driver_sql(f"SELECT {what} LIMIT 1").scalar()


def _account(partner: int) -> str:
    return f"acct_{partner:016d}"


def _get(client: httpx.Client, path: str) -> tuple[httpx.Response, float]:
    began = time.perf_counter()
    answer = client.get(path)
    return answer, (time.perf_counter() - began) * 1000


_SINGLE = (
    ("/events/{}", "event_id FROM inbox WHERE status = 'applied'"),
    ("/events/{}", "event_id FROM inbox WHERE status = 'dead' ORDER BY id DESC"),
    ("/payouts/pay_{}", "id FROM payout_requests ORDER BY id DESC"),
    *(
        ("/payouts/pay_{}", f"id FROM payout_requests WHERE status = '{status}' ORDER BY id")
        for status in ("paid", "returned", "unclear", "awaiting_approval")
    ),
    ("/payouts/{}", "stripe_id FROM payouts WHERE status = 'paid' ORDER BY id"),
    ("/partners/{}", "id FROM partners ORDER BY id"),
    ("/partners/{}", "id FROM partners ORDER BY id DESC"),
    ("/partners/{}/statement", "id FROM partners ORDER BY id"),
    ("/replays/rep_{}", "id FROM replays ORDER BY id DESC"),
    ("/replays/rep_{}?outcome=failed", "id FROM replays ORDER BY id DESC"),
    ("/replays/rep_{}", "id FROM replays ORDER BY id"),
    ("/operations/notices/{}", "id FROM outbox ORDER BY id"),
    ("/people/{}", "name FROM people"),
    ("/people/tokens", "id FROM people"),
    ("/ledger/transactions/{}", "id FROM ledger_transactions ORDER BY id"),
    ("/reconciliation/{}", "id FROM differences ORDER BY id"),
    ("/completeness/proofs/{}", "id FROM proofs ORDER BY id"),
    ("/completeness/chains/{}", "account FROM proofs WHERE account <> 'platform' ORDER BY id"),
    ("/data/inbox/details/{}", "id FROM inbox ORDER BY id"),
    ("/data/payout_requests/details/{}", "id FROM payout_requests ORDER BY id"),
)  # fmt: skip
