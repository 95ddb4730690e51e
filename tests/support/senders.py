"""Senders that go on while things break: many connections at once, every answer noted with its time.

They speak HTTP over the standard library's plain client, so that what is measured is the receiver and not
the sender, and they deliver again after anything but a 2xx, as Stripe does.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.servers import wait_until
from tests.support.stack import PATH, Stack, signature

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What one delivery was answered. `status` 0: no answer came."""

    event_id: str
    status: int
    seconds: float
    retry_after: str | None = None
    body: bytes = b""

    @property
    def is_acknowledged(self) -> bool:
        return 200 <= self.status < 300


class Senders:
    """Delivers `bodies` from `concurrency` threads, each up to `tries` times until it is acknowledged.

    `pause_s`: what each thread waits after an answer; `for_s`: stop beginning new deliveries after that.
    """

    def __init__(
        self,
        stack: Stack,
        bodies: Sequence[bytes],
        concurrency: int = 16,
        tries: int = 1,
        pause_s: float = 0.0,
        for_s: float = 3600.0,
    ) -> None:
        self.port = stack.port
        self.bodies = list(bodies)
        self.tries = tries
        self.pause_s = pause_s
        self.for_s = for_s
        self.answers: list[Answer] = []
        self.left_out: list[bytes] = []
        """Bodies that were never acknowledged."""
        self._next = iter(list(bodies))
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(concurrency)]

    def start(self) -> "Senders":
        self._ends_at = time.monotonic() + self.for_s
        for thread in self._threads:
            thread.start()
        return self

    @property
    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self, within_s: float = 90.0) -> "Senders":
        ends_at = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        assert not self.is_busy, f"the senders were not done within {within_s} s: {self.statuses}"
        self.left_out += list(self._next)
        return self

    def stop(self) -> "Senders":
        """Begin no more deliveries, and wait for the answers to those under way."""
        self._stopping.set()
        return self.join()

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in list(self.answers))

    @property
    def acknowledged(self) -> set[str]:
        """Ids of the events that were answered 2xx."""
        return {answer.event_id for answer in list(self.answers) if answer.is_acknowledged}

    @property
    def slowest_s(self) -> float:
        return max(answer.seconds for answer in self.answers)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            while not self._stopping.is_set() and time.monotonic() < self._ends_at:
                with self._guard:
                    body = next(self._next, None)
                if body is None:
                    return
                self._deliver(connection, body)
        finally:
            connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        for attempt in range(self.tries):
            if attempt and self._stopping.wait(min(0.05 * 2**attempt, 0.5)):
                break
            answer = self._post(connection, body)
            self.answers.append(answer)
            if self.pause_s:
                time.sleep(self.pause_s)
            if answer.is_acknowledged:
                return
        with self._guard:
            self.left_out.append(body)

    def _post(self, connection: http.client.HTTPConnection, body: bytes) -> Answer:
        event_id = json.loads(body)["id"]
        headers = {"Stripe-Signature": signature(body), "Content-Type": "application/json"}
        began = time.monotonic()
        try:
            connection.request("POST", PATH, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next delivery opens another
            return Answer(event_id, 0, time.monotonic() - began)
        if response.will_close:
            connection.close()
        retry_after = response.getheader("Retry-After")
        return Answer(event_id, response.status, time.monotonic() - began, retry_after, content)


def wait_started(stack: Stack, *names: str) -> None:
    """Wait until workers and schedulers have begun to work: before that they end where the database does."""
    for name in names:
        role = name.partition(":")[0]
        wait_until(f"{name} works", lambda name=name, role=role: f"{role}.started" in stack.said(name))


def stored_ids(stack: Stack) -> set[str]:
    """The events in the inbox."""
    return {row.event_id for row in stack.rows("SELECT event_id FROM inbox")}


def storable_ids(bodies: Iterable[bytes]) -> set[str]:
    """The events of `bodies` that are to be stored: those of the other mode are only acknowledged."""
    return {event["id"] for event in map(json.loads, bodies) if not event["livemode"]}


def check_kept(stack: Stack, acknowledged: set[str], bodies: Iterable[bytes]) -> None:
    """A 2xx means durable: every acknowledged event of `bodies` is in the inbox."""
    lost = (acknowledged & storable_ids(bodies)) - stored_ids(stack)
    assert lost == set(), f"acknowledged and lost: {len(lost)}, among them {sorted(lost)[:5]}"


def check_applied_once(stack: Stack) -> None:
    """The transitions of each payout are one chain that strictly climbs, ends in the state held and has
    one outbox row for each step; no event made two of them."""
    ranks = {None: -1, "pending": 0, "in_transit": 1, "paid": 2, "reversed": 2.5, "failed": 3, "canceled": 3}
    names = {"paid": "payout.completed", "pending": "payout.created"}
    chains: dict[int, list[tuple[str | None, str]]] = {}
    caused_by: list[int] = []
    for row in stack.rows("SELECT payout_id, from_status, to_status, inbox_id FROM payout_transitions"):
        chains.setdefault(row.payout_id, []).append((row.from_status, row.to_status))
        caused_by.append(row.inbox_id)
    assert len(caused_by) == len(set(caused_by)), "an event was applied twice"
    ends = {}
    for payout_id, steps in chains.items():
        steps.sort(key=lambda step: ranks[step[1]])
        at = None
        for old, new in steps:
            assert old == at, f"payout {payout_id}: {steps} is not one chain"
            assert ranks[new] > ranks[old], f"payout {payout_id} went backwards: {steps}"
            at = new
        ends[payout_id] = at
    assert ends == {row.id: row.status for row in stack.rows("SELECT id, status FROM payouts")}
    told = sorted(
        (row.payout_id, row.name)
        for row in stack.rows("SELECT payout_id, name FROM outbox WHERE name NOT LIKE 'alert.%'")
    )
    due = sorted(
        (payout_id, names.get(new, f"payout.{new}"))
        for payout_id, steps in chains.items()
        for _, new in steps
    )
    assert told == due
