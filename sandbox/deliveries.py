"""Deliveries: each event to each endpoint that asked for it, signed, and again until it is taken."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections import deque

import msgspec

from sandbox import endpoints
from sandbox.shared import Json
from sandbox.store import Store
from sandbox.wire import Poster
from sandbox.world import World

LOG = logging.getLogger("sandbox")
KIND = "delivery"
RETRY, LATE = "delivery.retry", "delivery.late"
PENDING, TAKEN, GIVEN_UP = "pending", "taken", "given_up"


class Delivery(msgspec.Struct):
    """One event on its way to one endpoint."""

    event_id: str
    endpoint_id: str
    state: str = PENDING
    attempts: int = 0
    last_status: int | None = None
    """Of the last answer; None where there was none."""
    first_s: float = 0.0
    is_resend: bool = False
    """Asked for by somebody: it meets no faults and is not tried again."""


class Deliveries:
    """`under_way` counts what is queued or being sent."""

    def __init__(self, world: World, poster: Poster, store: Store | None = None) -> None:
        self._world = world
        self._poster = poster
        self._of_event: dict[str, list[Delivery]] = {}
        self._held: dict[str, list[Delivery]] = {}
        """By object: what waits for a later event of it to overtake."""
        self._queue: deque[Delivery] = deque()
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.attempts = 0
        world.on_event.append(self.offer)
        world.timers.on(RETRY, self._again)
        world.timers.on(LATE, self._late)
        for _, _, kept in store.read(KIND) if store is not None else ():
            self._take_up(msgspec.convert(kept, Delivery))
        for event_id, deliveries in self._of_event.items():
            event = world.events.any(event_id)
            if event is not None:
                event["pending_webhooks"] = sum(each.state == PENDING for each in deliveries)

    def offer(self, account: str, event: Json) -> None:
        """A new event: begin a delivery to each endpoint that hears it."""
        world, object_id = self._world, _object_id(event)
        overtaken = self._held.pop(object_id, [])
        for endpoint in world.endpoints.all():
            if endpoints.hears(world, endpoint, account, event["type"]):
                delivery = Delivery(event["id"], endpoint["id"], first_s=world.clock.now())
                self._of_event.setdefault(event["id"], []).append(delivery)
                event["pending_webhooks"] += 1
                self._note(delivery)
                self._start(delivery, object_id)
        for delivery in overtaken:
            self._put(delivery)

    def resend(self, event: Json, endpoint: Json) -> None:
        """Once more, whatever became of it. The automatic attempts go on beside it."""
        self._put(Delivery(event["id"], endpoint["id"], is_resend=True))

    def of(self, event_id: str) -> list[Delivery]:
        return self._of_event.get(event_id, [])

    def succeeded(self, event_id: str) -> bool:
        """Whether every endpoint has taken it."""
        return all(delivery.state == TAKEN for delivery in self.of(event_id))

    @property
    def under_way(self) -> int:
        return len(self._queue) + len(self._sending)

    def counts(self) -> dict[str, int]:
        counts = {PENDING: 0, TAKEN: 0, GIVEN_UP: 0}
        for deliveries in self._of_event.values():
            for delivery in deliveries:
                counts[delivery.state] += 1
        return counts

    async def run(self) -> None:
        """Send what is queued, so many at once, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and len(self._sending) < self._world.settings.deliveries_at_once:
                task = asyncio.create_task(self._attempt(self._queue.popleft()))
                self._sending.add(task)
                task.add_done_callback(self._sent)

    async def idle(self) -> None:
        """Wait until nothing is queued or being sent."""
        while self.under_way:
            self._wake.set()
            if self._sending:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(0)

    def stop(self) -> None:
        for task in self._sending:
            task.cancel()
        self._poster.close()

    def _start(self, delivery: Delivery, object_id: str) -> None:
        """Queue it, now or, where a fault says so, later or twice."""
        faults, hits = self._world.faults, self._world.names.hits
        subject = (delivery.event_id, delivery.endpoint_id)
        if hits(faults.event_delay, "event_delay", *subject):
            wait_s = self._world.names.draw("delay", *subject) * faults.delay_s
            self._world.timers.after(wait_s, LATE, *subject)
        elif hits(faults.event_reorder, "event_reorder", *subject):
            self._held.setdefault(object_id, []).append(delivery)
            self._world.timers.after(faults.reorder_s, LATE, *subject)
        else:
            self._put(delivery)
        if hits(faults.event_duplicate, "event_duplicate", *subject):
            self._put(Delivery(*subject, is_resend=True))

    def _put(self, delivery: Delivery) -> None:
        self._queue.append(delivery)
        self._wake.set()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            LOG.critical("a delivery broke", exc_info=task.exception())

    async def _attempt(self, delivery: Delivery) -> None:
        event = self._world.events.any(delivery.event_id)
        endpoint = self._world.endpoints.any(delivery.endpoint_id)
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            self._end(delivery, GIVEN_UP)
            return
        delivery.attempts += 1
        self.attempts += 1
        status = None if self._lost(delivery) else await self._send(event, endpoint)
        delivery.last_status = status
        if delivery.is_resend or delivery.state != PENDING:
            return
        if status is not None and 200 <= status < 300:
            self._end(delivery, TAKEN)
        else:
            self._retry_later(delivery)

    async def _send(self, event: Json, endpoint: Json) -> int | None:
        body = body_for(event, endpoint)
        secret = endpoints.secret(self._world, endpoint)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            # In real time: whoever checks its age has no other clock.
            "Stripe-Signature": sign(body, secret, int(time.time())),
        }
        try:
            return await self._poster.post(
                endpoint["url"], headers, body, self._world.settings.delivery_timeout_s
            )
        except (OSError, ValueError):  # of ValueError: an address that can't be one
            return None

    def _lost(self, delivery: Delivery) -> bool:
        if delivery.is_resend:
            return False
        faults, hits = self._world.faults, self._world.names.hits
        subject = (delivery.event_id, delivery.endpoint_id)
        return hits(faults.event_lost, "event_lost", *subject) or (
            delivery.attempts == 1 and hits(faults.event_lost_at_first, "event_lost_at_first", *subject)
        )

    def _retry_later(self, delivery: Delivery) -> None:
        settings = self._world.settings
        wait_s = min(settings.retry_first_s * 2 ** min(delivery.attempts - 1, 30), settings.retry_longest_s)
        if self._world.clock.now() + wait_s - delivery.first_s > settings.retry_for_s:
            self._end(delivery, GIVEN_UP)
            return
        self._note(delivery)
        self._world.timers.after(wait_s, RETRY, delivery.event_id, delivery.endpoint_id)

    def _again(self, event_id: str, endpoint_id: str) -> None:
        for delivery in self.of(event_id):
            if delivery.endpoint_id == endpoint_id and delivery.state == PENDING:
                self._put(delivery)

    def _late(self, event_id: str, endpoint_id: str) -> None:
        """What was held back goes out, where nothing overtook it meanwhile."""
        event = self._world.events.any(event_id)
        if event is not None:
            held = self._held.get(_object_id(event), [])
            self._held[_object_id(event)] = [each for each in held if each.event_id != event_id]
        for delivery in self.of(event_id):
            if delivery.endpoint_id == endpoint_id and not delivery.attempts and delivery not in self._queue:
                self._put(delivery)

    def _end(self, delivery: Delivery, state: str) -> None:
        if delivery.is_resend or delivery.state != PENDING:
            return
        delivery.state = state
        self._note(delivery)
        event = self._world.events.any(delivery.event_id)
        if event is not None:
            event["pending_webhooks"] -= 1  # not written down: it follows from the deliveries

    def _note(self, delivery: Delivery) -> None:
        key = f"{delivery.event_id}|{delivery.endpoint_id}"
        self._world.changes.put(KIND, key, "", delivery)

    def _take_up(self, delivery: Delivery) -> None:
        """After a restart: what was never tried is tried now, the rest has its timer."""
        self._of_event.setdefault(delivery.event_id, []).append(delivery)
        if delivery.state == PENDING and not delivery.attempts:
            self._put(delivery)


def body_for(event: Json, endpoint: Json) -> bytes:
    """The event as this endpoint gets it, in the API version that was fixed when it was made."""
    sent = msgspec.json.encode({**event, "api_version": endpoints.version(endpoint)})
    return msgspec.json.format(sent, indent=2)


def sign(body: bytes, secret: str, at_s: int) -> str:
    """Stripe's scheme v1: HMAC-SHA256 over time and raw body, by the whole secret."""
    digest = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class _Named(msgspec.Struct):
    id: str | None = None


def _object_id(event: Json) -> str:
    inner = event["data"]["object"]
    named = msgspec.json.decode(inner, type=_Named).id if isinstance(inner, msgspec.Raw) else inner.get("id")
    return named or event.get("account", "")
