"""The examinations in their order: each asks for facts, which the judgements beside this file then weigh."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import redis
from sqlalchemy import Engine

from payouts.clock import Clock, ClockReading
from payouts.doctor.ages import judge_events, judge_notices, judge_requests
from payouts.doctor.clocks import judge_clock
from payouts.doctor.database import Pools, judge_database
from payouts.doctor.diagnosing import Examination
from payouts.doctor.endpoints import EndpointFacts, judge_endpoints
from payouts.doctor.finding import Check, Finding
from payouts.doctor.migrations import judge_migrations
from payouts.doctor.processes import judge_processes, judge_queues
from payouts.doctor.recovery import judge_recovery
from payouts.doctor.redis_server import SpillFacts, judge_redis, judge_spill
from payouts.doctor.secrets import SecretFacts, SecretUse, judge_secrets, judge_use
from payouts.doctor.watermark import judge_caught_up, judge_received
from payouts.gateway import StripeGateway
from payouts.settings import Settings
from payouts.storage import age_queries, revisions
from payouts.storage.inbox import WEBHOOK
from payouts.storage.mark_rows import oldest_watermark_s
from payouts.storage.presence import Presence
from payouts.storage.queries import reading
from payouts.storage.recovery_rows import open_recovery
from payouts.storage.redis_facts import redis_clock, redis_facts
from payouts.storage.server_facts import database_clock, database_facts
from payouts.storage.spill import Spill
from payouts.webhook_endpoint import EndpointsSeen

STRIPE_WITHIN_S = 30.0

_STRIPE = "check STRIPE_API_KEY, that it may read webhook endpoints, and the way to api.stripe.com"
_DATABASE = "check DATABASE_URL, that the server runs, and that `payouts db upgrade` was run"
_REDIS = "check REDIS_URL, and that the server runs"


@dataclass(frozen=True, slots=True)
class Doctor:
    """What the examinations ask. `waiting`: how many messages no worker has fetched, by queue."""

    settings: Settings
    engine: Engine
    redis: redis.Redis
    gateway: StripeGateway
    pools: Pools
    waiting: Callable[[], Mapping[str, int]]
    clock: Clock

    def examinations(self) -> list[Examination]:
        """All of them. Nothing is asked yet."""
        return [
            Examination(Check.SECRETS, self.secrets, "check the settings of this process"),
            Examination(Check.SECRET_USE, self.secret_use, _DATABASE),
            Examination(Check.ENDPOINTS, self.endpoints, _STRIPE, STRIPE_WITHIN_S),
            Examination(Check.CLOCK_DATABASE, self.database_clock, _DATABASE),
            Examination(Check.CLOCK_REDIS, self.redis_clock, _REDIS),
            Examination(Check.REDIS, self.redis_server, _REDIS),
            Examination(Check.REDIS_SPILLED, self.spilled, _REDIS),
            Examination(Check.DATABASE, self.database, _DATABASE),
            Examination(Check.MIGRATIONS, self.migrations, _DATABASE),
            Examination(Check.EVENTS, self.events, _DATABASE),
            Examination(Check.REQUESTS, self.requests, _DATABASE),
            Examination(Check.NOTICES, self.notices, _DATABASE),
            Examination(Check.RECOVERY, self.recovery, _DATABASE),
            Examination(Check.QUEUES, self.queues, _REDIS),
            Examination(Check.PROCESSES, self.processes, _REDIS),
            Examination(Check.WATERMARK, self.received, _DATABASE),
            Examination(Check.WATERMARK_CAUGHT_UP, self.caught_up, _DATABASE),
        ]

    def caught_up(self) -> list[Finding]:
        with reading(self.engine) as connection:
            oldest_s = oldest_watermark_s(connection)
        return judge_caught_up(oldest_s, round(self.settings.catch_up_interval_s * 1000), self.clock())

    def endpoints(self) -> list[Finding]:
        settings, seen = self.settings, self.gateway.webhook_endpoints()
        facts = EndpointFacts(
            seen.endpoints,
            settings.livemode,
            settings.public_webhook_url,
            len(settings.platform_secrets),
            len(settings.connect_secrets),
        )
        return [*judge_endpoints(facts), *_stripe_clock(seen)]

    def secrets(self) -> list[Finding]:
        return judge_secrets(self._secret_facts())

    def secret_use(self) -> list[Finding]:
        with reading(self.engine) as connection:
            signed = age_queries.newest_signed(connection, WEBHOOK)
        return judge_use(self._secret_facts(), SecretUse(signed.by_label, signed.since_ms), self.clock())

    def database_clock(self) -> list[Finding]:
        with reading(self.engine) as connection:
            read = database_clock(connection, self.clock)
        return [judge_clock(Check.CLOCK_DATABASE, read)] if read else []

    def redis_clock(self) -> list[Finding]:
        return [judge_clock(Check.CLOCK_REDIS, redis_clock(self.redis, self.clock))]

    def redis_server(self) -> list[Finding]:
        return judge_redis(redis_facts(self.redis), self.settings.redis_spill)

    def spilled(self) -> list[Finding]:
        spill = Spill(self.redis, self.settings.redis_spill, self.settings.queue_namespace)
        facts = SpillFacts(spill.waiting(), spill.oldest_ms(), spill.set_aside(), self.clock())
        return judge_spill(facts)

    def database(self) -> list[Finding]:
        with reading(self.engine) as connection:
            facts = database_facts(connection)
        return judge_database(facts, self.pools)

    def migrations(self) -> list[Finding]:
        return judge_migrations(revisions.revisions(self.engine))

    def events(self) -> list[Finding]:
        with reading(self.engine) as connection:
            waiting = age_queries.waiting_events(connection)
            dead = age_queries.dead_events(connection)
        return judge_events(waiting, dead, self.clock())

    def requests(self) -> list[Finding]:
        with reading(self.engine) as connection:
            return judge_requests(age_queries.waiting_requests(connection), self.clock())

    def notices(self) -> list[Finding]:
        with reading(self.engine) as connection:
            waiting = age_queries.waiting_notices(connection)
            dead = age_queries.dead_notices(connection)
        return judge_notices(waiting, dead, self.clock())

    def recovery(self) -> list[Finding]:
        with reading(self.engine) as connection:
            return [judge_recovery(open_recovery(connection), self.clock())]

    def queues(self) -> list[Finding]:
        return judge_queues(self.waiting(), self.settings.sweep_max_queued)

    def processes(self) -> list[Finding]:
        seen = Presence(self.redis, self.settings.queue_namespace, self.clock).seen()
        return judge_processes(seen, self.clock())

    def received(self) -> list[Finding]:
        with reading(self.engine) as connection:
            signed = age_queries.newest_signed(connection, WEBHOOK)
        return judge_received(signed.last_ms, self.clock())

    def _secret_facts(self) -> SecretFacts:
        settings = self.settings
        return SecretFacts(
            settings.platform_secrets,
            settings.connect_secrets,
            settings.stripe_api_key.get_secret_value(),
            settings.livemode,
        )


def _stripe_clock(seen: EndpointsSeen) -> Iterator[Finding]:
    # Of the same answer: its `Date`, in whole seconds.
    if seen.stripe_now_ms is not None:
        read = ClockReading(seen.stripe_now_ms, seen.asked_at_ms, seen.answered_at_ms, whole_ms=1000)
        yield judge_clock(Check.CLOCK_STRIPE, read)
