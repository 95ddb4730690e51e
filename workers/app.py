"""The composition of a worker and of the scheduler, and how each runs until it is told to stop."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dramatiq import Broker, Worker, set_broker
from dramatiq.middleware import Retries

from payouts.bootstrap import (
    open_archiver,
    open_failure_watch,
    open_lookout,
    open_maintenance_clerk,
    open_reconciler,
    open_replayer,
    open_rounds,
    open_standing,
    open_teller,
    open_walker,
    open_walks,
    open_worker,
)
from payouts.clock import now_ms
from payouts.gate import forget_outflow
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.meters import Meters
from payouts.notices import Closes
from payouts.open_channels import open_channels
from payouts.overview import Depths
from payouts.pulse import Pulse
from payouts.reopening import Reopener
from payouts.repeating import forget_answers
from payouts.scheduling import Schedules
from payouts.settings import Settings
from payouts.stopping import StopSignal
from payouts.storage.guard_rows import close_over
from payouts.storage.presence import EVERY_S as BEAT_EVERY_S
from payouts.storage.replica import BEAT_EVERY_S as REPLICA_BEAT_S
from payouts.storage.replica import beat
from payouts.storage.revisions import require_current
from payouts.storage.spill import Spill
from payouts.storage.unit import in_transaction
from payouts.stores import (
    open_emergency_switch,
    open_emergency_watch,
    open_engine,
    open_pulse,
    open_redis,
    open_render,
)
from payouts.troubles import Troubles
from serving.metrics import served
from workers.actors import Actors
from workers.archive import Archiving
from workers.catch_up import LOOK_EVERY_S, CatchingUp, WalkStarter
from workers.check import LedgerChecking
from workers.drain import Drainer
from workers.messages import QUEUES, open_broker, open_messages
from workers.notify import NoticeSweeper, Notifier
from workers.reconcile import STEP_EVERY_S, Reconciling, RoundStarter
from workers.replay import Replaying, ReplaySweeper
from workers.schedule import Job, run_jobs
from workers.stripe_addresses import StripeAddresses
from workers.sweep import HELD_UP_EVERY_S, HeldUpSweeper, PartnerSweeper, RequestSweeper, Sweeper

PRUNE_EVERY_S = 60.0
WATCH_EVERY_S = 30.0
STOP_WITHIN_MS = 20_000


def run_worker(settings: Settings, troubles: Troubles | None = None) -> None:
    """Work until SIGTERM or SIGINT; then finish what was begun and give back what was not."""
    client = open_redis(settings, settings.redis_timeout_s)
    parts = open_worker(settings, client, troubles=troubles)
    require_current(parts.engine)
    messages = open_messages(settings, client)
    actors = Actors(parts, messages, settings.apply_batch_max, settings.log_events)
    channels = open_channels(settings, parts.engine)
    notifier = Notifier(open_teller(settings, parts.engine, channels), messages)

    rounds = open_rounds(settings, parts.engine)
    reconciler = open_reconciler(settings, parts.engine, parts.gateway)
    reconciling = Reconciling(reconciler, rounds, messages)

    checking = LedgerChecking(parts.engine, parts.applier.rules.make_id, now_ms)

    replaying = Replaying(open_replayer(settings, parts), messages, actors.send_on, actors.live_lately)
    walker = open_walker(
        settings, parts.engine, parts.gateway, messages.apply, settings.catch_up_reads_per_hour
    )
    catching_up = CatchingUp(walker, open_walks(settings, parts.engine), messages)

    def declare_maintenance(broker: Broker) -> None:
        catching_up.declare(broker)
        reconciling.declare(broker)
        checking.declare(broker)
        if settings.archive_url:
            Archiving(open_archiver(settings, parts.engine), messages).declare(broker)

    def pool(declare: Callable[[Broker], None], threads: int) -> Worker:
        broker = open_broker(settings, client, middleware=[Retries()])
        set_broker(broker)
        declare(broker)
        return Worker(broker, worker_threads=threads)

    # Each with threads and a broker of its own: slow answers and slow channels hold up no events.
    pools = [
        pool(actors.declare_events, settings.worker_threads),
        pool(actors.declare_payouts, settings.sender_threads),
        pool(notifier.declare, len(channels) + 1),
        pool(declare_maintenance, 1),
        pool(replaying.declare, 1),
    ]
    stop = StopSignal()
    pulse = open_pulse(settings, "worker", parts.meters, parts.engine)
    with served(open_render(settings, pulse), settings.metrics_host, settings.metrics_port):
        for each in pools:
            each.start()
        get_logger().info("worker.started", threads=settings.worker_threads, livemode=settings.livemode)
        pulse.beat()
        while not stop.wait(BEAT_EVERY_S):
            pulse.beat()
        _stop(pools)
        pulse.end()
    for channel in channels.values():
        if isinstance(channel, Closes):
            channel.close()
    parts.record.close()
    parts.engine.dispose()
    get_logger().info("worker.stopped")


def _stop(pools: Sequence[Worker]) -> None:
    stopping = [threading.Thread(target=each.stop, args=(STOP_WITHIN_MS,)) for each in pools]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


def run_scheduler(settings: Settings, troubles: Troubles | None = None) -> None:
    """Run the scheduled jobs until SIGTERM or SIGINT."""
    engine = open_engine(settings)
    require_current(engine)
    client = open_redis(settings, settings.redis_timeout_s)
    messages = open_messages(settings, client)
    sweeper = Sweeper(engine, messages, now_ms, int(settings.sweep_grace_s * 1000), settings.sweep_max_queued)
    spill = Spill(client, settings.redis_spill, settings.queue_namespace)
    make_id = IdMaker()

    wake = RequestSweeper(engine, messages, now_ms)

    schedules = Schedules(engine, now_ms, make_id)
    channels = tuple(open_channels(settings, engine))
    notices = NoticeSweeper(engine, messages, now_ms, channels, settings.notice_keep_days)

    starter = RoundStarter(open_rounds(settings, engine), messages)

    replays = ReplaySweeper(engine, messages, now_ms)
    reopener = Reopener(engine, now_ms)

    def reopen() -> None:
        resent = reopener.look()
        if resent:
            messages.apply(resent)

    walks = WalkStarter(open_walks(settings, engine), messages)
    asks_stripe = bool(settings.stripe_api_key.get_secret_value())
    # Only where the service talks to the real Stripe: tests and trials ask nobody else.
    addresses_s = 0.0 if settings.stripe_api_base or not asks_stripe else settings.stripe_addresses_interval_s
    addresses = StripeAddresses(engine, settings.stripe_addresses_url, make_id, now_ms)
    catches_up = asks_stripe and (settings.catch_up_interval_s or settings.proof_daily)

    switch, watch = open_emergency_switch(settings, client), open_emergency_watch(settings, client)
    drainer = Drainer(engine, spill, switch, watch, make_id, now_ms, messages.apply)

    clerk = open_maintenance_clerk(settings, engine, client, QUEUES)
    lookout = open_lookout(settings, engine, client)
    pulse = open_pulse(settings, "scheduler", Meters(only_here=[troubles or Troubles()]), engine)
    stop = StopSignal()
    get_logger().info("scheduler.started", sweep_every_s=settings.sweep_interval_s)
    rounds = [Job("reconcile", STEP_EVERY_S, starter.sweep)] if settings.reconcile_interval_s else []
    check_s = settings.ledger_check_interval_s
    archive_s = settings.archive_interval_s if settings.archive_url else 0
    has_replica = bool(settings.database_replica_url.get_secret_value())
    jobs = [
        *rounds,
        *([Job("catch up", LOOK_EVERY_S, walks.sweep)] if catches_up else []),
        *([Job("check the ledger", check_s, messages.check_ledger)] if check_s else []),
        Job("pulse", BEAT_EVERY_S, pulse.beat),
        *([Job("stripe addresses", addresses_s, addresses.start)] if addresses_s else []),
        *([Job("archive", archive_s, messages.archive)] if archive_s else []),
        *([Job("replica beat", REPLICA_BEAT_S, lambda: beat(engine, now_ms()))] if has_replica else []),
        Job("look out", settings.sweep_interval_s, lookout.look),
        Job("sweep", settings.sweep_interval_s, sweeper.sweep),
        Job("note emergency", settings.sweep_interval_s, drainer.write_notes),
        Job("drain", settings.sweep_interval_s, drainer.drain),
        Job("replay", settings.sweep_interval_s, replays.sweep),
        Job("reopen", settings.sweep_interval_s, reopen),
        Job("watch failures", WATCH_EVERY_S, open_failure_watch(settings, engine).look),
        Job("keep maintenance times", WATCH_EVERY_S, clerk.look),
        Job("send", settings.sweep_interval_s, wake.sweep),
        Job("partners", settings.sweep_interval_s, PartnerSweeper(engine, messages).sweep),
        Job("ask again", HELD_UP_EVERY_S, HeldUpSweeper(engine, messages, now_ms).sweep),
        Job("schedule", settings.sweep_interval_s, schedules.step),
        Job("notices", settings.sweep_interval_s, notices.sweep),
        Job("prune notices", PRUNE_EVERY_S, notices.prune),
        Job("prune", PRUNE_EVERY_S, lambda: forget_outflow(engine, now_ms())),
        Job(
            "prune blocks",
            PRUNE_EVERY_S,
            lambda: in_transaction(engine, lambda c: close_over(c, now_ms())),
        ),
        Job("prune answers", PRUNE_EVERY_S, lambda: forget_answers(engine, now_ms())),
    ]
    with _showing(settings, pulse, messages.depths):
        run_jobs(jobs, stop)
    pulse.end()
    engine.dispose()
    get_logger().info("scheduler.stopped")


@contextmanager
def _showing(settings: Settings, pulse: Pulse, depths: Depths) -> Iterator[None]:
    """While it is entered, the scheduler's metrics are served: its own, and how the service stands."""
    if not settings.metrics_port:
        yield
        return
    from payouts.exposition import exposed  # as `open_standing`, for those who want metrics alone

    engine, standing = open_standing(settings, QUEUES, depths)
    pulse.engines.append(engine)
    with served(exposed(pulse, {}, standing), settings.metrics_host, settings.metrics_port):
        yield
    engine.dispose()
