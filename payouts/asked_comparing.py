"""Comparing one account because somebody asks for it: workers do it, a bounded step at a time."""

from sqlalchemy import Connection

from payouts.audit import Entry
from payouts.budget import Budget
from payouts.errors import GatewayError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.people import Actor, Scope
from payouts.reconciling import Reconciler
from payouts.registering import check_account
from payouts.rounds import STEP_READS
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM


def ask_to_compare(
    connection: Connection, account: str, actor: Actor, make_id: IdMaker, now_ms: int
) -> Entry:
    """Note that somebody has an account compared, as `payouts reconcile run --account` does; the caller sends
    the message. RefusedError `bad_account`."""
    actor.require(Scope.OPERATE)
    if account != PLATFORM:
        check_account(account)
    return audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="reconcile.run",
        subject=account,
        account=account,
        details={"since_s": None, "reads": STEP_READS},
    )


def compare_further(reconciler: Reconciler, account: str) -> bool:
    """Compare an account a step of STEP_READS answers further; whether there is more to do.

    Where Stripe gives no answer it ends here: the next round goes on with it, or whoever asks again.
    """
    reconciler.find_late(account)
    try:
        return not reconciler.compare(account, Budget(STEP_READS))
    except GatewayError as error:
        get_logger().warning("reconcile.no_answer", account=account, error=str(error))
        return False
