"""The audit log: what people and tokens did, and whether that record is whole."""

from itertools import islice

from sqlalchemy import Connection
from starlette.responses import Response

from console.web.call import Call
from console.web.listing import listed
from console.web.verb import Verb
from payouts import audit
from payouts.errors import NotFoundError
from payouts.people import Scope
from payouts.storage.audit_rows import chain_exists, entry_list, head_of, walk
from payouts.storage.columns import PLATFORM

FILTERS = ("actor", "action", "subject", "account", "chain")
VERIFIED_MOST = 20_000
"""Entries of a chain that a page checks; `payouts audit verify` checks any number."""


def log(call: Call) -> Response:
    """Entries, newest first."""
    page = listed(call, entry_list, {name: name for name in FILTERS})
    return call.page("audit.html", title="Audit log", data=list(page.rows), page=page, check=_check(call))


def verify(call: Call) -> Response:
    """Check the chain that is named, from its first entry to its head."""
    chain = call.form.get("chain", "")
    if not chain_exists(call.connection, chain):
        raise NotFoundError(f"there is no audit chain {chain[:60]}")
    said, whole = _verified(call.connection, chain)
    return call.back("/audit", f"{chain}: {said}", {"chain": chain, "whole": whole, "said": said})


def _verified(connection: Connection, chain: str) -> tuple[str, bool]:
    head = head_of(connection, chain) or audit.START
    if head.number > VERIFIED_MOST:
        return f"{head.number} entries are too many for a page: `payouts audit verify --chain {chain}`", False
    fault = audit.verify(islice(walk(connection, chain, head), VERIFIED_MOST), head)
    if fault is not None:
        return f"broken: {fault}", False
    return f"whole, {head.number} entries, head {head.digest}", True


def _check(call: Call) -> Verb:
    chain = call.asked("chain") or audit.chain_of(PLATFORM, call.now_ms)
    return Verb(
        "Check this chain",
        f"Reads every entry of {chain} and checks that none was changed, removed or moved.",
        "/audit/verify",
        Scope.READ,
        needs_reason=False,
        hidden=(("chain", chain),),
    )


ROUTES = (
    ("GET", "/audit", log, Scope.READ),
    ("POST", "/audit/verify", verify, Scope.READ),
)
