"""The composition root: builds the real things once, from settings, and hands them on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
from sqlalchemy import Engine

from payouts.apply import Applier
from payouts.archiving import Archiver
from payouts.batch import Rules, read_as_sent
from payouts.cleaning import Secrets
from payouts.clock import Clock, now_ms
from payouts.desk import SendingRules
from payouts.errors import SettingsError
from payouts.failure_watch import FailureWatch
from payouts.forewarning import Forewarner
from payouts.fresh import Fresh
from payouts.gateway import NoGateway, StripeGateway
from payouts.ids import IdMaker
from payouts.lookout import Lookout
from payouts.lookup import Resolver
from payouts.meters import Meters
from payouts.mode import Modes
from payouts.notices import Channel
from payouts.open_channels import MAX_ATTEMPTS, routes_of
from payouts.overview import Depths, Mode, Overview, Overviewer
from payouts.payloads import Payloads
from payouts.practice import read_failing_once
from payouts.readiness import HOUR_MS, GateRules
from payouts.reconciling import Reconciler
from payouts.record import Record
from payouts.regaining import Regainer
from payouts.reminding import MaintenanceClerk
from payouts.replayer import Replayer
from payouts.rounds import Rounds
from payouts.sdk_gateway import Called, Kind, Pace, SdkGateway, at_once, uncounted
from payouts.sending import Sender
from payouts.settings import Settings
from payouts.shelf import open_shelf
from payouts.storage.engine import build_engine
from payouts.storage.minutes import Minutes
from payouts.storage.spill import Spill
from payouts.storage.token_bucket import TokenBucket
from payouts.storage.trail import Trail
from payouts.stores import (
    LOOK_POOL_SIZE,
    open_emergency_watch,
    open_engine,
    open_redis,
    open_sealer,
    process_name,
)
from payouts.telling import Teller, TellingRules
from payouts.tracing import open_traces
from payouts.troubles import Troubles
from payouts.walking import Hint, Walker
from payouts.walks import Walks
from payouts.what_if import WhatIf

if TYPE_CHECKING:
    from payouts.standing import Standing

LOOK_TIMEOUT_S = 2.0
"""Of each question that metrics ask a dependency."""


def open_overviewer(
    settings: Settings,
    engine: Engine,
    client: redis.Redis,
    queues: Sequence[str],
    clock: Clock = now_ms,
    depths: Depths | None = None,
) -> Overviewer:
    """What looks at everything at once. `queues`: the names of those whose depth is told; `depths` tells it
    where they are not in Redis."""
    mode = Mode(settings.environment, settings.livemode, settings.shadow_mode)
    namespace = settings.queue_namespace
    return Overviewer(engine, client, namespace, Minutes(namespace), queues, mode, clock, depths)


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker works with."""

    engine: Engine
    applier: Applier
    sender: Sender
    gateway: StripeGateway
    record: Record
    """Counts and traces what it does."""
    meters: Meters
    """All that the process counts."""


def open_worker(
    settings: Settings, client: redis.Redis, clock: Clock = now_ms, troubles: Troubles | None = None
) -> WorkerParts:
    """The parts of a worker process; nothing connects yet."""
    engine = open_engine(settings)
    worker = process_name()
    make_id = IdMaker(clock)
    record = Record(open_traces(settings, "worker"))
    gateway = open_gateway(settings, shared_pace(settings, client), record.called)
    payloads = open_payloads(settings)
    read = read_failing_once if settings.practice_failure else read_as_sent
    rules = Rules(make_id, clock, worker, settings.event_max_attempts, payloads=payloads, read=read)
    lookout = open_lookout(settings, engine, client, clock)
    sending = sending_rules(settings, make_id, clock, worker, open_emergency_watch(settings, client).is_on)
    sender = Sender(engine, gateway, sending, lookout)
    only_here = (record.batches, record.picked_up, record.moves, troubles or Troubles())
    meters = Meters(record.outcomes, record.stripe, only_here=only_here)
    return WorkerParts(engine, Applier(engine, rules), sender, gateway, record, meters)


def open_standing(
    settings: Settings, queues: Sequence[str], depths: Depths | None = None, clock: Clock = now_ms
) -> "tuple[Engine, Standing]":
    """What tells metrics how the service stands, and its engine, to be closed: on connections of its own,
    with short time limits, so that it waits for nobody and nobody for it. `queues`: their names;
    `depths` tells of them where they are not in Redis."""
    from payouts.standing import Expected, Standing, look_into_database, look_into_redis

    engine = build_engine(
        settings.database_url.get_secret_value(), timeout_s=LOOK_TIMEOUT_S, pool_size=LOOK_POOL_SIZE
    )
    client = open_redis(settings, LOOK_TIMEOUT_S)
    namespace, by_setting = settings.queue_namespace, settings.maintenance_mode
    spill = Spill(client, settings.redis_spill, namespace)
    asks_stripe = bool(settings.stripe_api_key.get_secret_value())
    expected = Expected(
        walk_s=settings.catch_up_interval_s if asks_stripe else 0,
        check_s=settings.ledger_check_interval_s,
        proves=settings.proof_daily and asks_stripe,
        shadow=settings.shadow_mode,
        emergency=settings.enable_mock_data,
    )
    standing = Standing(
        Fresh(lambda: look_into_database(engine, by_setting)),
        Fresh(lambda: look_into_redis(client, namespace, queues, spill, clock, depths)),
        expected,
        clock,
    )
    return engine, standing


def open_lookout(settings: Settings, engine: Engine, client: redis.Redis, clock: Clock = now_ms) -> Lookout:
    """What notices that the database was restored."""
    return Lookout(engine, Trail(client, settings.queue_namespace), IdMaker(clock), clock)


def open_modes(settings: Settings, engine: Engine, client: redis.Redis) -> Modes:
    """What tells the mode of the service."""
    watch = open_emergency_watch(settings, client)
    return Modes(engine, watch.now, settings.maintenance_mode)


def sending_rules(
    settings: Settings,
    make_id: IdMaker,
    clock: Clock,
    worker: str,
    emergency: Callable[[], bool] = lambda: False,
) -> SendingRules:
    """What payouts are sent by; `emergency` says whether that mode is on."""
    return SendingRules(
        *(make_id, clock, worker, gate_rules(settings)),
        shadow=settings.shadow_mode,
        maintenance=settings.maintenance_mode,
        emergency=emergency,
        lease_ms=int(settings.send_lease_s * 1000),
        doubt_ms=int(settings.doubt_minutes * 60_000),
    )


def open_replayer(settings: Settings, parts: WorkerParts, clock: Clock = now_ms) -> Replayer:
    """What takes replays further."""
    resolver = Resolver(parts.applier, parts.gateway)
    rules = parts.applier.rules
    return Replayer(parts.engine, resolver, rules.make_id, clock, settings.replay_confirm_above)


def open_what_if(settings: Settings, engine: Engine, clock: Clock = now_ms) -> WhatIf:
    """What finds out what a replay would change."""
    make_id = IdMaker(clock)
    rules = Rules(make_id, clock, "what-if", settings.event_max_attempts, payloads=open_payloads(settings))
    return WhatIf(engine, rules, sending_rules(settings, make_id, clock, "what-if"))


def open_failure_watch(settings: Settings, engine: Engine, clock: Clock = now_ms) -> FailureWatch:
    """What alerts of failures."""
    ages_ms = (round(settings.dead_alert_age_s * 1000), round(settings.blocked_alert_age_s * 1000))
    return FailureWatch(engine, IdMaker(clock), clock, *ages_ms)


def open_maintenance_clerk(
    settings: Settings, engine: Engine, client: redis.Redis, queues: Sequence[str], clock: Clock = now_ms
) -> MaintenanceClerk:
    """What keeps the timetable of maintenance."""
    overviewer = open_overviewer(settings, engine, client, queues, clock)

    def look(window_minutes: int) -> Overview:
        return overviewer.look(window_minutes=window_minutes)

    least = settings.maintenance_email_payouts
    forewarner = Forewarner(engine, IdMaker(clock), clock, least) if least else None
    return MaintenanceClerk(engine, IdMaker(clock), clock, look, forewarner)


def open_payloads(settings: Settings) -> Payloads:
    """What finds and opens payloads; nothing is opened yet."""
    return Payloads(open_sealer(settings), open_shelf(settings.archive_url) if settings.archive_url else None)


def open_archiver(settings: Settings, engine: Engine, clock: Clock = now_ms) -> Archiver:
    """What archives old payloads. SettingsError where no archive is set."""
    if not settings.archive_url:
        raise SettingsError("ARCHIVE_URL is not set: a folder, or an address as s3://bucket/prefix")
    shelf = open_shelf(settings.archive_url)
    return Archiver(engine, shelf, open_sealer(settings), IdMaker(clock), clock, settings.archive_after_days)


def open_reconciler(
    settings: Settings, engine: Engine, gateway: StripeGateway, clock: Clock = now_ms
) -> Reconciler:
    """What compares with Stripe."""
    return Reconciler(engine, gateway, IdMaker(clock), clock, shadow=settings.shadow_mode)


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
    make_id, sealer = IdMaker(clock), open_sealer(settings)
    return Walker(engine, gateway, make_id, clock, settings.livemode, hint, reads_most, sealer)


def open_walks(settings: Settings, engine: Engine, clock: Clock = now_ms) -> Walks:
    """Which walk is next."""
    every_ms = round(settings.catch_up_interval_s * 1000)
    gap_ms = round(settings.catch_up_gap_s * 1000) if every_ms else 0
    reads_most = settings.catch_up_reads_per_hour
    return Walks(engine, IdMaker(clock), clock, every_ms, gap_ms, reads_most, settings.proof_daily)


def open_regainer(
    settings: Settings, engine: Engine, gateway: StripeGateway, hint: Hint, clock: Clock = now_ms
) -> Regainer:
    """What closes the gap after a restore. No budget of reads: until it is done, nothing is sent."""
    walker = open_walker(settings, engine, gateway, hint, clock=clock)
    reconciler = open_reconciler(settings, engine, gateway, clock)
    settle_ms = int(settings.send_lease_s * 1000)
    return Regainer(engine, gateway, IdMaker(clock), clock, walker, reconciler, settle_ms)


def open_teller(
    settings: Settings, engine: Engine, channels: Mapping[str, Channel], clock: Clock = now_ms
) -> Teller:
    """What delivers notices by `channels`."""
    rules = TellingRules(
        *(IdMaker(clock), clock, routes_of(list(channels))),
        *(settings.notice_max_attempts, MAX_ATTEMPTS),
        clean=Secrets(settings).out_of,
    )
    return Teller(engine, channels, rules)


def open_gateway(settings: Settings, pace: Pace = at_once, called: Called = uncounted) -> StripeGateway:
    """Stripe by its SDK, or a stand-in that says what is missing."""
    if not settings.stripe_api_key.get_secret_value():
        return NoGateway()
    key = settings.source("stripe_api_key")
    return SdkGateway(key, settings.stripe_api_base, pace, settings.stripe_timeout_s, called)


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
