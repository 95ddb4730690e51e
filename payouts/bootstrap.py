"""The composition root: builds the real things once, from settings, and hands them on."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy import Engine

from payouts.apply import Applier
from payouts.batch import Rules
from payouts.channels.folder import FolderChannel
from payouts.channels.log import LogChannel
from payouts.clock import Clock, now_ms
from payouts.desk import SendingRules
from payouts.errors import SettingsError
from payouts.gateway import NoGateway, StripeGateway
from payouts.ids import IdMaker
from payouts.notices import Channel, Route
from payouts.readiness import HOUR_MS, GateRules
from payouts.reconciling import Reconciler
from payouts.rounds import Rounds
from payouts.sdk_gateway import Kind, Pace, SdkGateway, at_once
from payouts.sending import Sender
from payouts.settings import Settings
from payouts.storage.engine import build_engine
from payouts.storage.token_bucket import TokenBucket
from payouts.telling import Teller, TellingRules
from payouts.walking import Hint, Walker
from payouts.walks import Walks


def open_engine(settings: Settings) -> Engine:
    """The engine for workers, scheduler and commands; nothing connects yet."""
    return build_engine(
        settings.database_url.get_secret_value(),
        timeout_s=settings.database_timeout_s,
        pool_size=settings.database_pool_size,
    )


def open_migration_engine(settings: Settings) -> Engine:
    """An engine whose statements may take as long as a large table needs."""
    url = settings.database_url.get_secret_value()
    return build_engine(url, timeout_s=settings.database_timeout_s, pool_size=1, patient=True)


def open_receiver_engine(settings: Settings) -> Engine:
    """The receiver's engine: short time limits, one statement a transaction, few connections."""
    return build_engine(
        settings.database_url.get_secret_value(),
        timeout_s=settings.receiver_store_timeout_s,
        pool_size=3,
        autocommit=True,
    )


def open_redis(settings: Settings, timeout_s: float) -> redis.Redis:
    """A Redis client whose every call ends within `timeout_s`; nothing connects yet."""
    try:
        return redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=None,
            health_check_interval=0,
        )
    except ValueError:
        raise SettingsError(
            "REDIS_URL does not read as an address: it looks like redis://host:6379/0"
        ) from None


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker works with."""

    engine: Engine
    applier: Applier
    sender: Sender
    gateway: StripeGateway


def open_worker(settings: Settings, client: redis.Redis, clock: Clock = now_ms) -> WorkerParts:
    """The parts of a worker process; nothing connects yet."""
    engine = open_engine(settings)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    make_id = IdMaker(clock)
    gateway = open_gateway(settings, shared_pace(settings, client))
    applier = Applier(engine, Rules(make_id, clock, worker, settings.event_max_attempts))
    rules = SendingRules(
        *(make_id, clock, worker, gate_rules(settings)),
        shadow=settings.shadow_mode,
        lease_ms=int(settings.send_lease_s * 1000),
        doubt_ms=int(settings.doubt_minutes * 60_000),
    )
    return WorkerParts(engine, applier, Sender(engine, gateway, rules), gateway)


def open_reconciler(parts: WorkerParts, clock: Clock = now_ms) -> Reconciler:
    """What compares with Stripe."""
    return Reconciler(parts.engine, parts.gateway, IdMaker(clock), clock)


def open_rounds(settings: Settings, engine: Engine, clock: Clock = now_ms) -> Rounds:
    """The rounds in which accounts are compared."""
    every_ms = round(settings.reconcile_interval_s * 1000)
    return Rounds(engine, IdMaker(clock), clock, every_ms, settings.reconcile_reads_most)


def open_walker(
    settings: Settings,
    engine: Engine,
    gateway: StripeGateway,
    hint: Hint,
    reads_most: int | None = None,
    clock: Clock = now_ms,
) -> Walker:
    """What walks Stripe's lists of events; `hint` is told what it adds to the inbox."""
    return Walker(engine, gateway, IdMaker(clock), clock, settings.livemode, hint, reads_most)


def open_walks(settings: Settings, engine: Engine, clock: Clock = now_ms) -> Walks:
    """Which walk is next."""
    every_ms = round(settings.catch_up_interval_s * 1000)
    gap_ms = round(settings.catch_up_gap_s * 1000) if every_ms else 0
    reads_most = settings.catch_up_reads_per_hour
    return Walks(engine, IdMaker(clock), clock, every_ms, gap_ms, reads_most, settings.proof_daily)


def open_channels(settings: Settings) -> dict[str, Channel]:
    """The channels by which others are told, by name; nothing is opened yet."""
    channels: dict[str, Channel] = {"log": LogChannel()}
    if settings.notice_folder:
        channels["folder"] = FolderChannel(Path(settings.notice_folder))
    return channels


def open_teller(
    settings: Settings, engine: Engine, channels: Mapping[str, Channel], clock: Clock = now_ms
) -> Teller:
    """What delivers notices by `channels`, each of which takes all of them."""
    routes = [Route(name) for name in channels]
    return Teller(engine, channels, TellingRules(IdMaker(clock), clock, routes, settings.notice_max_attempts))


def open_gateway(settings: Settings, pace: Pace = at_once) -> StripeGateway:
    """Stripe by its SDK, or a stand-in that says what is missing."""
    key = settings.stripe_api_key.get_secret_value()
    return SdkGateway(key, settings.stripe_api_base, pace, settings.stripe_timeout_s) if key else NoGateway()


def shared_pace(settings: Settings, client: redis.Redis) -> Pace:
    """The rates that Stripe allows, shared by all workers through Redis."""
    name = settings.queue_namespace
    calls = TokenBucket(client, f"{name}:calls", settings.calls_per_s, burst=10)
    payouts = TokenBucket(client, f"{name}:payouts", settings.stripe_payouts_per_s, burst=5)

    def pace(kind: Kind) -> bool:
        try:
            return (kind != "payout" or payouts.take()) and calls.take()
        except redis.RedisError:
            return False  # nobody knows what the others send: better late than over the limit

    return pace


def gate_rules(settings: Settings) -> GateRules:
    """What must hold for a partner before money is sent."""
    return GateRules(round(settings.bank_cooling_off_hours * HOUR_MS), settings.bank_account_approval)
