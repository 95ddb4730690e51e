"""The sandbox's own API, under /_sandbox: what no Stripe would let you do."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import balances, lives
from sandbox.accounts import deauthorize
from sandbox.bank_accounts import default_for, set_status
from sandbox.books import books
from sandbox.deliveries import Deliveries
from sandbox.errors import StripeError
from sandbox.faults import Faults, Plan, Planned
from sandbox.money import CURRENCIES
from sandbox.progress import Progress
from sandbox.settings import Seconds, Settings
from sandbox.setup import Forced, NewAccount, force, ready_account
from sandbox.shared import Json
from sandbox.world import World

Body = TypeVar("Body")
DEFAULT_KEY = "payout_id"


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    seconds: Seconds


class Settle(msgspec.Struct, forbid_unknown_fields=True):
    within_s: Seconds = 10.0


class TopUp(msgspec.Struct, forbid_unknown_fields=True):
    amount_minor: int
    currency: str = "usd"
    account: str | None = None
    pending_s: Seconds = 0.0


class BankStatus(msgspec.Struct, forbid_unknown_fields=True):
    """`id`: the default bank account of the account's currency where it is absent."""

    status: str
    id: str | None = None


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    code: str = "could_not_process"


class AutomaticPayout(msgspec.Struct, forbid_unknown_fields=True):
    """By Stripe itself: the event names no request."""

    amount_minor: int
    currency: str = "usd"
    metadata: dict[str, str] = {}


class ControlError(Exception):
    """What was asked for can't be done: 400, or 404 where `missing`."""

    def __init__(self, message: str, missing: bool = False) -> None:
        super().__init__(message)
        self.status = 404 if missing else 400


class Control:
    def __init__(self, world: World, deliveries: Deliveries, progress: Progress, plan: Plan) -> None:
        self._world = world
        self._deliveries = deliveries
        self._progress = progress
        self._plan = plan

    def routes(self) -> list[Route]:
        rows: list[tuple[str, str, Callable[[Request], Awaitable[object]]]] = [
            ("GET", "/", self.about),
            ("GET", "/clock", self.clock),
            ("POST", "/clock/advance", self.advance),
            ("POST", "/settle", self.settle),
            ("POST", "/top_up", self.top_up),
            ("POST", "/accounts", self.make_account),
            ("POST", "/accounts/{id}/force", self.force),
            ("POST", "/accounts/{id}/bank_account", self.bank_status),
            ("POST", "/accounts/{id}/deauthorize", self.deauthorize),
            ("POST", "/accounts/{id}/automatic_payout", self.automatic_payout),
            ("POST", "/payouts/{id}/pay", self.pay),
            ("POST", "/payouts/{id}/fail", self.fail),
            ("POST", "/payouts/{id}/return", self.return_),
            ("POST", "/payouts/{id}/reverse", self.reverse),
            ("GET", "/events/{id}/deliveries", self.deliveries),
            ("GET", "/faults", self.faults),
            ("PUT", "/faults", self.set_faults),
            ("GET", "/settings", self.settings),
            ("PUT", "/settings", self.set_settings),
            ("POST", "/plan", self.plan),
            ("GET", "/books", self.books),
            ("GET", "/stats", self.stats),
        ]
        return [Route(path, self._answering(method), methods=[verb]) for verb, path, method in rows]

    async def about(self, _: Request) -> Json:
        return {
            "seed": self._world.names.seed,
            "platform": self._world.platform,
            "now": self._world.clock.now(),
        }

    async def clock(self, _: Request) -> Json:
        due_s = self._world.timers.next_due_s()
        return {"now": self._world.clock.now(), "pace": self._world.clock.pace, "next_due": due_s}

    async def advance(self, request: Request) -> Json:
        asked = await _read(request, Advance)
        ran = await self._progress.advance(asked.seconds)
        return {"now": self._world.clock.now(), "ran": ran}

    async def settle(self, request: Request) -> Json:
        asked = await _read(request, Settle)
        settled = await self._progress.settle(asked.within_s)
        return {
            "settled": settled,
            "under_way": self._deliveries.under_way,
            "timers": len(self._world.timers),
        }

    async def top_up(self, request: Request) -> object:
        asked = await _read(request, TopUp)
        if asked.currency not in CURRENCIES:
            raise ControlError(f"unknown currency: {asked.currency}")
        account = self._account(asked.account or self._world.platform)["id"]
        return balances.top_up(self._world, account, asked.currency, asked.amount_minor, asked.pending_s)

    async def make_account(self, request: Request) -> object:
        return ready_account(self._world, await _read(request, NewAccount))

    async def force(self, request: Request) -> object:
        """Null in a field takes back what was forced."""
        return force(self._world, self._named_account(request), await _read(request, Forced))

    async def bank_status(self, request: Request) -> object:
        account, asked = self._named_account(request), await _read(request, BankStatus)
        world = self._world
        if asked.id is None:
            bank = default_for(world, account["id"], account["default_currency"])
        else:
            bank = world.bank_accounts.find(account["id"], asked.id)
        if bank is None:
            raise ControlError("no such bank account", missing=True)
        set_status(world, bank, asked.status)
        return bank

    async def deauthorize(self, request: Request) -> object:
        account = self._named_account(request)
        deauthorize(self._world, account["id"])
        return account

    async def automatic_payout(self, request: Request) -> object:
        account, asked = self._named_account(request), await _read(request, AutomaticPayout)
        bank = default_for(self._world, account["id"], asked.currency)
        if bank is None:
            raise ControlError(f"the account has no bank account in {asked.currency}")
        balances.demand(self._world, account["id"], asked.currency, asked.amount_minor, "payout")
        return lives.begin(
            self._world,
            account["id"],
            bank["id"],
            asked.amount_minor,
            asked.currency,
            {"metadata": asked.metadata, "description": "STRIPE PAYOUT"},
            automatic=True,
        )

    async def pay(self, request: Request) -> object:
        payout = self._payout(request, *lives.OPEN)
        lives.pay(self._world, payout)
        return payout

    async def fail(self, request: Request) -> object:
        """Also after it was paid."""
        payout = self._payout(request, *lives.OPEN, "paid")
        lives.fail(self._world, payout, (await _read(request, Failure)).code)
        return payout

    async def return_(self, request: Request) -> object:
        payout = self._payout(request, "paid")
        lives.fail(self._world, payout, (await _read(request, Failure)).code)
        return payout

    async def reverse(self, request: Request) -> object:
        """By the bank: the answer is the new payout, which brings the amount back."""
        payout = self._payout(request, "paid")
        if payout["original_payout"]:
            raise ControlError("it is a reversal itself")
        return lives.reverse(self._world, payout, {}, None)

    async def deliveries(self, request: Request) -> object:
        """Of one event: each endpoint with what became of it, the attempts and the last answer's status."""
        return {"deliveries": self._deliveries.of(request.path_params["id"])}

    async def faults(self, _: Request) -> object:
        return self._world.faults

    async def set_faults(self, request: Request) -> object:
        """All of them: what is not named is off from now on."""
        self._world.faults = await _read(request, Faults)
        return self._world.faults

    async def settings(self, _: Request) -> object:
        return self._world.settings

    async def set_settings(self, request: Request) -> object:
        self._world.settings = await _read(request, Settings)
        return self._world.settings

    async def plan(self, request: Request) -> object:
        self._plan.planned.append(await _read(request, Planned))
        return {"planned": self._plan.planned}

    async def books(self, request: Request) -> object:
        return books(self._world, request.query_params.get("key", DEFAULT_KEY))

    async def stats(self, _: Request) -> Json:
        world = self._world
        return {
            "calls": world.calls,
            "deliveries": self._deliveries.counts(),
            "attempts": self._deliveries.attempts,
            "under_way": self._deliveries.under_way,
            "timers": len(world.timers),
            "accounts": len(world.accounts),
            "transfers": len(world.transfers),
            "payouts": len(world.payouts),
            "events": len(world.events),
            "planned": self._plan.planned,
        }

    def _account(self, id_: str) -> Json:
        account = self._world.accounts.any(id_)
        if account is None:
            raise ControlError(f"no such account: {id_}", missing=True)
        return account

    def _named_account(self, request: Request) -> Json:
        return self._account(request.path_params["id"])

    def _payout(self, request: Request, *states: str) -> Json:
        """The payout that the path names, in one of these states and not reversed."""
        payout = self._world.payouts.any(request.path_params["id"])
        if payout is None:
            raise ControlError("no such payout", missing=True)
        if payout["status"] not in states or payout["reversed_by"]:
            raise ControlError(f"the payout is {'reversed' if payout['reversed_by'] else payout['status']}")
        return payout

    def _answering(
        self, method: Callable[[Request], Awaitable[object]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            status = 200
            try:
                answer = await method(request)
            except (ControlError, msgspec.ValidationError, msgspec.DecodeError) as error:
                status, answer = getattr(error, "status", 400), {"error": str(error)}
            except StripeError as error:
                status, answer = error.status, {"error": error.message}
            self._world.changes.write()
            return Response(msgspec.json.encode(answer), status, media_type="application/json")

        return endpoint


async def _read(request: Request, shape: type[Body]) -> Body:
    return msgspec.json.decode(await request.body() or b"{}", type=shape)
