"""Proving: a walk that counted what it met becomes a proof, the next link of its account's chain."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from payouts import audit
from payouts.audit import START, Fault, canonical
from payouts.handled import HANDLED_TYPES
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.proof import Proof
from payouts.storage import proof_rows
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.tally import Tally, totals
from payouts.walk import Walk

MISSING = "alert.events_missing"


def prove(connection: Connection, walk: Walk, tally: Tally, make_id: IdMaker, now_ms: int) -> Proof:
    """Append the proof that a walk came to, in the caller's transaction. An alert tells what was missing."""
    head = proof_rows.lock_chain(connection, walk.account)
    counted = totals(tally.statuses)
    proof = proof_rows.append(
        connection,
        Proof(
            id=make_id(),
            account=walk.account,
            number=head.number + 1,
            since_s=walk.since_s,
            until_s=walk.until_s,
            made_at_ms=now_ms,
            actor=walk.actor,
            walk_id=walk.id,
            listed=walk.listed,
            applied=counted["applied"],
            ignored=counted["ignored"],
            open=counted["open"],
            dead=counted["dead"],
            dismissed=counted["dismissed"],
            missing=tally.missing.count,
            healed=tally.healed,
            unlisted=tally.unlisted.count,
            details=canonical(_details(walk, tally)),
            previous=head.digest,
        ),
    )
    get_logger().info(
        "proof.made", account=proof.account, proof_id=proof.id, listed=proof.listed, missing=proof.missing
    )
    if proof.missing:
        text = (
            f"{proof.missing} events of {proof.account} had not arrived, {proof.healed} were added: "
            f"payouts proof show {proof.id}"
        )
        insert_platform_notice(connection, PlatformNotice(MISSING, now_ms, text, str(proof.id)), make_id)
    return proof


def verify(connection: Connection, account: str) -> tuple[audit.Head, Fault | None]:
    """The head of an account's chain, and the first of its proofs that was changed, removed or moved."""
    head = proof_rows.head_of(connection, account) or START
    return head, audit.verify(proof_rows.walk_chain(connection, account, head), head)


def _details(walk: Walk, tally: Tally) -> Mapping[str, Any]:
    return {
        "reasons": tally.reasons,
        "missing": tally.missing.ids,
        "not_healed": tally.not_healed.ids,
        "unlisted": tally.unlisted.ids,
        "types": None if walk.all_types else list(HANDLED_TYPES),
        "cut": walk.cut,
    }
