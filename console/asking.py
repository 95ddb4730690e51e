"""What a command that walks Stripe's lists begins with: who it is, the gateway, and how workers are told."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from console.acting import acting
from console.context import settings_of
from payouts.people import Scope

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from payouts.gateway import StripeGateway
    from payouts.people import Actor
    from payouts.settings import Settings


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who may operate and asks Stripe."""

    settings: "Settings"
    engine: "Engine"
    actor: "Actor"
    gateway: "StripeGateway"
    hint: Callable[[Sequence[int]], None]
    """Takes inbox ids: workers are to look at them soon."""


@contextmanager
def asking(data: Path | None, as_name: str | None) -> Iterator[Asking]:
    """Who asks, at the pace of all. Without Redis at a pace of its own: the sweeper finds what is added."""
    from redis import RedisError

    from payouts.bootstrap import open_gateway, shared_pace
    from payouts.logs import configure_logging
    from payouts.sdk_gateway import at_once
    from payouts.stores import open_redis
    from workers.messages import open_messages

    configure_logging("error", "console")  # what such a command has to say, it prints itself
    settings = settings_of(data)
    client = open_redis(settings, settings.redis_timeout_s)
    with acting(data, Scope.OPERATE, as_name) as (engine, actor), client:
        try:
            client.ping()
            pace = shared_pace(settings, client)
        except RedisError:
            pace = at_once
        hint = open_messages(settings, client).apply
        yield Asking(settings, engine, actor, open_gateway(settings, pace), hint)
