"""`payouts proof …`: that the events of a time are complete, on record, and whether that record is whole."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.accounts import accounts
from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, parse_time, print_table, short_time, table, write_json
from console.walking import Walking, print_line, progress, walking
from payouts.clock import now_ms
from payouts.errors import GatewayError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from payouts.proof import Proof
    from payouts.walk import Walk

app = typer.Typer(no_args_is_help=True, help="Proofs that the events of a time are complete.")

_COUNTS = ("listed", "applied", "ignored", "open", "dead", "dismissed", "missing", "healed", "unlisted")
_DAY_MS = 86_400_000
_IDS_SHOWN = 20


@app.command("make")
def make(
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    all_accounts: Annotated[bool, typer.Option("--all", help="Every account.")] = False,
    since: Annotated[
        str | None, typer.Option(help="From this time on; else from yesterday, 0:00 UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this time; else today, 0:00 UTC, or now.")] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Compare what Stripe lists with the inbox, add what is missing, and keep the result as a proof.

    Ends with 1 where something that Stripe lists is not in the inbox even now.
    """
    if (account is None) != all_accounts:
        raise RefusedError("bad_options", "name an account with --account, or take --all")
    since_s, until_s = _times(since, until)
    incomplete = 0
    with walking(data, as_name) as walker:
        walker.note("proof.make", account or "all", {"since_s": since_s, "until_s": until_s})
        with progress() as follow:
            for each in [account] if account else accounts(walker.engine):
                try:
                    proof = _make(walker, each, since_s, until_s, follow)
                except GatewayError as error:
                    print_line(f"Stripe gives no answer: {error}; run it again to go on", bad=True)
                    raise typer.Exit(1) from None
                incomplete += proof is None or not proof.is_complete
    if incomplete:
        raise typer.Exit(1)


@app.command("list")
def list_proofs(
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List proofs, newest first."""
    from payouts.storage.proof_rows import proof_list

    columns = ("proof", "made", "account", "from", "until", *_COUNTS)
    show(
        data,
        proof_list,
        make_filters({"account": account}, since, until, after),
        limit,
        as_json,
        columns,
        _cells,
    )


@app.command("show")
def show_proof(
    key: Annotated[str, typer.Argument(metavar="ID", help="As `list` and `make` show it.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show what a proof says, and what it cannot know."""
    import dataclasses

    from payouts.proof import not_known
    from payouts.storage.proof_rows import details_of, find_proof

    with reading_from(data) as connection:
        proof = find_proof(connection, int(key)) if key.isascii() and key.isdigit() else None
    if proof is None:
        raise NotFoundError(f"there is no proof {key}: `payouts proof list` shows them")
    details = details_of(proof.details)
    unknown = not_known(proof, details.get("types"), cut=bool(details.get("cut")))
    if as_json:
        said = {"verdict": proof.verdict, "complete": proof.is_complete, "not_known": unknown}
        write_json({**dataclasses.asdict(proof), "details": details, **said})
        return
    _print(proof, details, unknown)


@app.command("verify")
def verify(
    account: Annotated[str | None, typer.Option(help="Only acct_…, or platform.")] = None,
    data: DataOption = None,
) -> None:
    """Check that no proof was changed, removed or moved; fails, and names the first, where one was.

    Keep the heads it prints elsewhere: they also show where a whole chain was written anew.
    """
    from payouts import proving

    faults = 0
    with reading_from(data) as connection:
        for each in _chains(connection, account):
            head, fault = proving.verify(connection, each)
            faults += fault is not None
            said = f"whole, {head.number} proofs, head {head.digest}" if fault is None else f"broken: {fault}"
            print_line(f"{each}: {said}", bad=fault is not None)
    if faults:
        raise typer.Exit(1)


def _chains(connection: "Connection", only: str | None) -> "Iterator[str]":
    from payouts.storage.proof_rows import head_of, next_account

    if only is not None:
        if head_of(connection, only) is None:
            raise NotFoundError(f"nothing is proven of {only}: `payouts proof list` shows what is")
        yield only
        return
    name = next_account(connection)
    if name is None:
        out().print("nothing is proven yet")
    while name is not None:
        yield name
        name = next_account(connection, name)


def _times(since: str | None, until: str | None) -> tuple[int, int]:
    """Seconds, both included, from times of which the second is not."""
    now = now_ms()
    midnight_ms = now // _DAY_MS * _DAY_MS
    since_ms = midnight_ms - _DAY_MS if since is None else parse_time(since)
    if until is not None:
        until_ms = parse_time(until)
    else:
        until_ms = midnight_ms if since_ms < midnight_ms and since is None else now
    return since_ms // 1000, (min(until_ms, now) - 1) // 1000


def _make(
    walker: Walking, account: str, since_s: int, until_s: int, follow: "Callable[[Walk], None]"
) -> "Proof | None":
    from payouts.storage.proof_rows import proof_of_walk
    from payouts.storage.queries import reading
    from payouts.walk import Cause
    from payouts.walks import PROOF, Wish

    walk = walker.begin(Wish(account, Cause.PROOF, PROOF, walker.actor.name, since_s, until_s))
    walk = walker.to_the_end(walk, follow)
    with reading(walker.engine) as connection:
        proof = proof_of_walk(connection, account, walk.id)
    if proof is None:
        print_line(f"{account}: no proof: {walk.error or walk.status}", bad=True)
        return None
    counts = ", ".join(f"{getattr(proof, name)} {name}" for name in _COUNTS if getattr(proof, name))
    print_line(f"{account}: {proof.verdict} ({counts or 'no events'})", bad=not proof.is_complete)
    print_line(f"  payouts proof show {proof.id}")
    return proof


def _print(proof: "Proof", details: dict[str, Any], unknown: list[str]) -> None:
    facts = [
        *(("account", proof.account), ("number", proof.number)),
        *(("from", short_time(proof.since_s * 1000)), ("until", short_time(proof.until_s * 1000))),
        *(("made", short_time(proof.made_at_ms)), ("by", proof.actor)),
        *((name, getattr(proof, name)) for name in _COUNTS),
        *(("digest", proof.digest), ("before it", proof.previous)),
    ]
    print_line(proof.verdict, bad=not proof.is_complete)
    if proof.open:
        print_line(f"{proof.open} were not applied yet when it was made")
    print_table(table(("", ""), facts))
    reasons = sorted(details.get("reasons", {}).items(), key=lambda item: -item[1])
    if reasons:
        print_table(table(("ignored because", "events"), reasons))
    for name, said in (
        ("missing", "missing"),
        ("not_healed", "not added"),
        ("unlisted", "not listed by Stripe"),
    ):
        ids = details.get(name, [])
        if ids:
            more = f" and {len(ids) - _IDS_SHOWN} more: --json" if len(ids) > _IDS_SHOWN else ""
            print_line(f"{said}: {' '.join(ids[:_IDS_SHOWN])}{more}")
    if proof.unlisted:
        print_line("  (in the inbox all the same: deleted at Stripe, or of another account or mode)")
    print_line("what it cannot know:")
    for line in unknown:
        print_line(f"  - {line}")


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    times = (short_time(row["since_s"] * 1000), short_time(row["until_s"] * 1000))
    return (
        *(row["id"], short_time(row["made_at_ms"]), row["account"], *times),
        *(row[name] or None for name in _COUNTS),
    )
