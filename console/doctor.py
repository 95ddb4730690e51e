"""`payouts doctor`: is everything set up so that nothing is lost, and what is to be mended?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from console.context import DataOption, data_dir_of, engine_of, settings_of
from console.output import err, out, print_table, write_json
from payouts.clock import now_ms

if TYPE_CHECKING:
    from payouts.doctor.finding import Finding
    from payouts.settings import Settings

_STYLES = {"ok": "green", "warning": "yellow", "bad": "red", "unknown": "magenta"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 on warnings as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines: a finding each.")] = False,
    data: DataOption = None,
) -> None:
    """Look at what this service depends on, and say what to do about what is wrong. Changes nothing.

    Ends with 0 where nothing is bad, 1 where something is, 2 where something could not be asked.
    """
    from payouts.doctor.finding import exit_code

    found = _examine(data, show_progress=not as_json)
    if as_json:
        for each in found:
            write_json(
                {"check": each.check, "level": each.level, "text": each.text, "remedy": each.remedy or None}
            )
    else:
        _print(found)
    raise typer.Exit(exit_code(found, strict=strict))


def _examine(data: Path | None, show_progress: bool) -> "list[Finding]":
    from payouts.bootstrap import open_gateway
    from payouts.doctor.database import Pools
    from payouts.doctor.diagnosing import diagnose
    from payouts.doctor.examining import Doctor
    from payouts.stores import RECEIVER_POOL_SIZE, open_redis
    from workers.messages import QUEUES, open_messages

    settings = _without_own_secret(data, settings_of(data))
    with ExitStack() as stack:
        engine = stack.enter_context(engine_of(data))
        client = stack.enter_context(open_redis(settings, settings.redis_timeout_s))
        if show_progress and err().is_terminal:
            stack.enter_context(err().status("asking"))
        messages = open_messages(settings, client)

        def waiting() -> Mapping[str, int]:
            return {queue: messages.waiting(queue) for queue in QUEUES}

        asked = Doctor(
            *(settings, engine, client, open_gateway(settings)),
            pools=Pools(RECEIVER_POOL_SIZE, settings.database_pool_size),
            waiting=waiting,
            clock=now_ms,
        )
        return list(diagnose(asked.examinations()))


def _without_own_secret(data: Path | None, settings: "Settings") -> "Settings":
    """A folder's own secret is for `payouts deliver`: no endpoint at Stripe has it, and none should."""
    folder = data_dir_of(data)
    if folder is None:
        return settings
    kept = [secret for secret in settings.platform_secrets if secret != folder.read()["webhook_secret"]]
    return (
        settings.model_copy(update={"stripe_webhook_secret": SecretStr(",".join(kept))}) if kept else settings
    )


def _print(found: "Sequence[Finding]") -> None:
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("check", no_wrap=True)
    made.add_column("level", no_wrap=True)
    made.add_column("what was found, and what to do")
    for each in found:
        said = f"{each.text}\n→ {each.remedy}" if each.remedy else each.text
        # As text, not as rich's markup, and without what would steer the terminal: some comes from outside.
        shown = Text("".join(c if c.isprintable() or c == "\n" else " " for c in said))
        made.add_row(each.check, Text(each.level, _STYLES[each.level]), shown)
    if out().is_terminal:
        out().print(made)
    else:
        print_table(made)
    counts = Counter(each.level for each in found)
    out().print(", ".join(f"{counts[level]} {level}" for level in sorted(counts, key=list(_STYLES).index)))
