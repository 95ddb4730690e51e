"""The ledger's rows: transactions posted once, their postings, and the balances of partners."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, select, tuple_

from payouts.errors import ReferenceTakenError, RowIdTakenError
from payouts.ids import IdMaker
from payouts.ledger import PLATFORM_KINDS, Entry, LedgerKind
from payouts.storage.bulk import add_to_rows, insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, postings

NO_PARTNER = 0
"""The `partner_id` of the platform's own ledger accounts."""

_Key = tuple[str, int, LedgerKind, str]
"""A ledger account: account, partner, kind, currency."""
_COLUMNS = ("id", "account", "partner_id", "kind", "currency", "balance_minor", "created_at_ms")


def post(connection: Connection, entries: Sequence[Entry], make_id: IdMaker, at_ms: int) -> list[Entry]:
    """Post `entries` and return those that were new.

    An entry whose reference was posted before is left out; with other content it raises
    ReferenceTakenError, and nothing of the call may be committed.
    """
    drawn = [(make_id(), entry) for entry in entries]
    if _insert_transactions(connection, drawn, at_ms) < len(drawn):
        drawn = _new_ones(connection, drawn)
    if not drawn:
        return []
    ids = _account_ids(connection, [entry for _, entry in drawn], make_id, at_ms)
    rows = []
    changes: dict[_Key, int] = {}
    for transaction_id, entry in drawn:
        for kind, amount_minor in entry.sums().items():
            key = _key(entry, kind)
            rows.append((make_id(), key[0], transaction_id, ids[key], amount_minor))
            if kind not in PLATFORM_KINDS:
                changes[key] = changes.get(key, 0) + amount_minor
    insert_rows(
        connection, postings, ("id", "account", "transaction_id", "ledger_account_id", "amount_minor"), rows
    )
    _change_balances(connection, {ids[key]: (key, change) for key, change in changes.items()}, at_ms)
    return [entry for _, entry in drawn]


def balance(connection: Connection, account: str, partner_id: int, kind: LedgerKind, currency: str) -> int:
    """The balance of one of a partner's ledger accounts in minor units, locked until the transaction ends."""
    found = connection.scalar(
        select(ledger_accounts.c.balance_minor)
        .where(
            ledger_accounts.c.account == account,
            ledger_accounts.c.partner_id == partner_id,
            ledger_accounts.c.kind == kind,
            ledger_accounts.c.currency == currency,
        )
        .with_for_update()
    )
    return int(found or 0)


def partner_balances(connection: Connection, partner_id: int) -> dict[tuple[str, LedgerKind], int]:
    """All balances of a partner in minor units, by currency and kind; read without a lock."""
    rows = connection.execute(
        select(ledger_accounts.c.currency, ledger_accounts.c.kind, ledger_accounts.c.balance_minor).where(
            ledger_accounts.c.partner_id == partner_id
        )
    )
    return {(row.currency, LedgerKind(row.kind)): row.balance_minor for row in rows}


def platform_balance(connection: Connection, kind: LedgerKind, currency: str) -> int:
    """The balance of one of the platform's ledger accounts: the sum of its postings, counted now.

    No row holds it, so that payments to different partners never wait for each other.
    """
    total = connection.scalar(
        select(func.sum(postings.c.amount_minor))
        .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
        .where(
            ledger_accounts.c.account == PLATFORM,
            ledger_accounts.c.partner_id == NO_PARTNER,
            ledger_accounts.c.kind == kind,
            ledger_accounts.c.currency == currency,
        )
    )
    return int(total or 0)


def _key(entry: Entry, kind: LedgerKind) -> _Key:
    if kind in PLATFORM_KINDS:
        return PLATFORM, NO_PARTNER, kind, entry.currency
    return entry.account, entry.partner_id, kind, entry.currency


def _insert_transactions(connection: Connection, drawn: Sequence[tuple[int, Entry]], at_ms: int) -> int:
    columns = (
        *("id", "account", "partner_id", "kind", "reference", "request_id", "payout_id", "description"),
        *("actor", "effective_at_ms", "posted_at_ms"),
    )
    rows = [
        (
            *(row_id, entry.account, entry.partner_id, entry.kind, entry.reference, entry.request_id),
            *(entry.payout_id, entry.description, entry.actor, entry.effective_at_ms, at_ms),
        )
        # One order for everybody: two that post the same references never wait in a circle.
        for row_id, entry in sorted(drawn, key=lambda pair: (pair[1].account, pair[1].reference))
    ]
    return insert_rows(connection, ledger_transactions, columns, rows, skip="reference")


def _new_ones(connection: Connection, drawn: Sequence[tuple[int, Entry]]) -> list[tuple[int, Entry]]:
    t = ledger_transactions.c
    wanted = {(entry.account, entry.reference): (row_id, entry) for row_id, entry in drawn}
    found = connection.execute(
        select(t.id, t.account, t.reference, t.kind, t.partner_id).where(
            tuple_(t.account, t.reference).in_(list(wanted))
        )
    ).all()
    stored = {(row.account, row.reference): row for row in found}
    missing = [reference for key, reference in ((k, k[1]) for k in wanted) if key not in stored]
    if missing:
        raise RowIdTakenError(f"row ids for ledger transactions {missing[:3]} are taken")
    mine = {row.id for row in found}
    before = {stored[(e.account, e.reference)].id: e for row_id, e in drawn if row_id not in mine}
    content = _contents(connection, list(before))
    for transaction_id, entry in before.items():
        row = stored[(entry.account, entry.reference)]
        was = (row.kind, row.partner_id, content.get(transaction_id, {}))
        now = (entry.kind, entry.partner_id, _by_kind(entry))
        if was != now:
            raise ReferenceTakenError(
                f"{entry.reference!r} was posted before with other content: "
                "a correction needs a reference of its own"
            )
    return [(row_id, entry) for row_id, entry in drawn if row_id in mine]


def _by_kind(entry: Entry) -> dict[tuple[str, str], int]:
    return {(str(kind), entry.currency): amount for kind, amount in entry.sums().items()}


def _contents(connection: Connection, ids: Iterable[int]) -> dict[int, dict[tuple[str, str], int]]:
    """What each of these transactions added, by kind and currency."""
    rows = connection.execute(
        select(
            postings.c.transaction_id,
            ledger_accounts.c.kind,
            ledger_accounts.c.currency,
            postings.c.amount_minor,
        )
        .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
        .where(postings.c.transaction_id.in_(list(ids)))
    )
    found: dict[int, dict[tuple[str, str], int]] = {}
    for row in rows:
        found.setdefault(row.transaction_id, {})[row.kind, row.currency] = row.amount_minor
    return found


def _account_ids(
    connection: Connection, entries: Sequence[Entry], make_id: IdMaker, at_ms: int
) -> dict[_Key, int]:
    wanted = {_key(entry, kind) for entry in entries for kind in entry.sums()}
    found = _find_accounts(connection, wanted)
    missing = sorted(wanted - found.keys())
    if not missing:
        return found
    new = [(make_id(), *key, 0, at_ms) for key in missing]
    insert_rows(connection, ledger_accounts, _COLUMNS, new, skip="kind")
    found = _find_accounts(connection, wanted)
    if wanted - found.keys():
        raise RowIdTakenError("row ids for new ledger accounts are taken")
    return found


def _find_accounts(connection: Connection, wanted: Iterable[_Key]) -> dict[_Key, int]:
    a = ledger_accounts.c
    partner_ids, kinds = {key[1] for key in wanted}, {str(key[2]) for key in wanted}
    rows = connection.execute(
        select(a.id, a.account, a.partner_id, a.kind, a.currency).where(
            a.partner_id.in_(partner_ids), a.kind.in_(kinds)
        )
    )
    return {(row.account, row.partner_id, LedgerKind(row.kind), row.currency): row.id for row in rows}


def _change_balances(connection: Connection, changes: dict[int, tuple[_Key, int]], at_ms: int) -> None:
    # In the order of ids, as everybody locks them. The rows exist: only their balances change.
    rows = [(row_id, *key, change, at_ms) for row_id, (key, change) in sorted(changes.items()) if change]
    add_to_rows(connection, ledger_accounts, _COLUMNS, rows, key=("id",), growing=("balance_minor",))
