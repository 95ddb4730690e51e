"""Fills a database with what a large installation has after half a year, by set-based SQL in minutes.

MariaDB only: numbers come from its SEQUENCE engine, and an INSERT into an empty table builds that table's
indexes by sorting.
"""

from collections.abc import Iterator, Mapping

from bench.console_rows import (
    CAUSES,
    DAY_MS,
    DAYS,
    HOUR_MS,
    Size,
    account_of,
    amount,
    cause_of,
    event_name,
    fingerprint,
    payout_name,
    row_id,
)
from payouts.storage.engine import build_engine
from payouts.storage.schema import metadata

REPLAYS = 301
NO_DETAILS = '{"cut":false,"missing":[],"not_healed":[],"reasons":{},"types":null,"unlisted":[]}'
PAYLOAD = 'CONCAT(\'{"object": "event", "filler": "\', REPEAT(\'x\', 200), \'"}\')'

Values = Mapping[str, str | int | None]
"""By column: an expression of SQL, or a number."""


def fill(database_url: str, size: Size) -> Iterator[tuple[str, int]]:
    """Fill the empty tables, each named with its rows once it is full."""
    engine = build_engine(database_url, timeout_s=30, pool_size=1, autocommit=True, patient=True)
    with engine.connect() as connection:
        for setting in ("unique_checks = 0", "foreign_key_checks = 0"):
            connection.exec_driver_sql(f"SET SESSION {setting}")
        for name, count, values, where in inserts(size):
            shown = {key: "NULL" if value is None else str(value) for key, value in values.items()}
            connection.exec_driver_sql(
                f"INSERT INTO {name} ({', '.join(f'`{key}`' for key in shown)}) "
                f"SELECT {', '.join(shown.values())} FROM (SELECT seq AS n FROM seq_1_to_{count}) AS numbers "
                f"WHERE {where}".replace("%", "%%")
            )
            yield name, int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar() or 0)
        connection.exec_driver_sql(
            "UPDATE ledger_accounts AS a JOIN (SELECT ledger_account_id AS id, SUM(amount_minor) AS total "
            "FROM postings GROUP BY ledger_account_id) AS s ON s.id = a.id SET a.balance_minor = s.total"
        )
        for table in metadata.sorted_tables:
            connection.exec_driver_sql(f"ANALYZE TABLE {table.name}")  # as a server does by itself, but now
    engine.dispose()


def inserts(size: Size) -> Iterator[tuple[str, int, Values, str]]:
    """Each table with how many numbers `n` are gone through, its values, and which of the numbers it has."""
    yield from _comes_in(size)
    yield from _goes_out(size)
    yield from _books(size)
    yield from _watched(size)


def _comes_in(size: Size) -> Iterator[tuple[str, int, Values, str]]:
    payout, status, type_ = size.payout_of("n"), size.event_status("n"), size.event_type("n")
    at, account, event_id = size.at("n", size.events), account_of(size.partner_of(payout)), event_name("n")
    error = (
        f"CONCAT('step ', {cause_of('n')}, ' of the settlement of po_', n, ' is not known to this version')"
    )
    failed = f"({status}) IN ('dead', 'dismissed', 'retrying')"
    object_id = f"IF(n MOD 5 IN (1, 2, 3), {payout_name(payout)}, NULL)"
    yield "inbox", size.events, {
        "id": size.inbox_id("n"), "event_id": event_id, "account": account, "type": type_,
        "kind": "'snapshot'", "object_id": object_id, "livemode": 1, "api_version": "'2026-10-28.endive'",
        "created_s": f"{at} DIV 1000", "source": "'webhook'", "secret": "'bench'", "received_at_ms": at,
        "status": status, "due_at_ms": at, "attempts": f"IF({failed}, 2, 0)", "resends": 0,
        "processed_at_ms": f"{at} + 5", "reason": "'as Stripe reports'",
        "last_error": f"IF({failed}, {error}, NULL)", "payload": PAYLOAD,
    }, "1"  # fmt: skip
    yield "inbox_failures", size.events, {
        "id": size.inbox_id("n"), "account": account, "event_id": event_id, "type": type_,
        "object_id": object_id, "status": status, "fingerprint": fingerprint(cause_of("n")), "error": error,
        "first_failed_at_ms": at, "failed_at_ms": f"{at} + 120000",
        "dismissed_by": f"IF(({status}) = 'dismissed', 'anna', NULL)",
        "dismissed_at_ms": f"IF(({status}) = 'dismissed', {at} + 900000, NULL)",
    }, failed  # fmt: skip
    event = f"((n + 1) DIV 2 * {size.dead_each} - {size.dead_each - 3})"
    tried = f"({size.at(event, size.events)} + (n MOD 2 + 1) * 60000)"
    yield "inbox_attempts", size.events // size.dead_each * 2, {
        "id": row_id(tried, "n"), "account": account_of(size.partner_of(size.payout_of(event))),
        "inbox_id": size.inbox_id(event), "attempt": "n MOD 2 + 1", "at_ms": tried, "worker": "'bench:1'",
        "version": "'1'", "error_class": "'UnknownStepError'", "error": "'the step is not known'",
        "traceback": "REPEAT('  in a frame of the code that failed\\n', 30)",
        "fingerprint": fingerprint(cause_of(event)),
    }, "1"  # fmt: skip
    yield "failure_groups", CAUSES, {
        "id": row_id(str(size.since_ms), "n"), "account": "'platform'", "fingerprint": fingerprint("n - 1"),
        "error_class": "'UnknownStepError'", "place": "CONCAT('payouts.machine:step_', n)",
        "message": "CONCAT('step ', n, ' of the settlement')", "example": "CONCAT('step ', n, ' of po_1')",
        "first_seen_ms": size.since_ms, "first_version": "'1'", "told_size": 0,
    }, "1"  # fmt: skip
    again = f"(n * {size.events // (size.events // 100)})"
    yield "inbox_deliveries", size.events // 100, {
        "id": row_id(f"({size.at(again, size.events)} + 9000)", "n"),
        "account": account_of(size.partner_of(size.payout_of(again))), "event_id": event_name(again),
        "source": "'webhook'", "secret": "'bench'", "received_at_ms": f"{size.at(again, size.events)} + 9000",
    }, "1"  # fmt: skip


def _goes_out(size: Size) -> Iterator[tuple[str, int, Values, str]]:
    partner, status, at = size.partner_of("n"), size.request_status("n"), size.at("n", size.payouts)
    account, has_payout = account_of(partner), f"({status}) IN ('sent', 'returned', 'reversed', 'paid')"
    since = size.since_ms - 20 * DAY_MS
    yield "partners", size.partners, {
        "id": size.partner_id("(n - 1)"), "account": account_of("(n - 1)"),
        "reference": "CONCAT('partner-', n)", "name": "CONCAT('Partner ', n)",
        "email": "CONCAT('partner-', n, '@example.com')", "currency": "'eur'",
        "state": "CASE WHEN n MOD 40 = 3 THEN 'restricted' WHEN n MOD 200 = 7 THEN 'unverified' "
        "WHEN n MOD 4000 = 9 THEN 'blocked' ELSE 'ready' END",
        "payouts_enabled": 1, "transfers_capability": "'active'", "requirements": "'{}'",
        "manual_schedule": 1, "bank_account": "CONCAT('ba_', LEFT(SHA1(n), 24))",
        "bank_fingerprint": "LEFT(SHA1(n), 16)", "bank_status": "'new'", "bank_label": "'BANK ****3000'",
        "bank_since_ms": since, "bank_approved": "CONCAT('ba_', LEFT(SHA1(n), 24))",
        "schedule": "CASE n MOD 4 WHEN 0 THEN 'weekly' WHEN 1 THEN 'daily' ELSE 'none' END",
        "schedule_day": "IF(n MOD 4 = 0, 1, NULL)", "refreshed_at_ms": size.until_ms - HOUR_MS,
        "created_at_ms": since, "updated_at_ms": since,
    }, "1"  # fmt: skip
    yield "payout_requests", size.payouts, {
        "id": size.request_id("n"), "account": account, "partner_id": size.partner_id(partner),
        "amount_minor": amount("n"), "currency": "'eur'", "status": status,
        "blocked": f"IF(({status}) = 'queued' AND n MOD 4 = 0, 'hold', NULL)", "due_at_ms": at, "tries": 0,
        "lease_until_ms": 0, "source": "IF(n MOD 3 = 0, 'api', 'schedule')", "reference": "CONCAT('r-', n)",
        "requested_by": "'program:portal'", "needs_approval": f"({status}) = 'awaiting_approval'",
        "shadow": 0, "sent_at_ms": f"IF({has_payout}, {at} + 4000, NULL)", "created_at_ms": at,
        "updated_at_ms": f"{at} + {2 * HOUR_MS}",
    }, "1"  # fmt: skip
    yield "payouts", size.payouts, {
        "id": size.payout_id("n"), "stripe_id": payout_name("n"), "request_id": size.request_id("n"),
        "account": account, "status": f"CASE ({status}) WHEN 'sent' THEN IF(n MOD 3 = 0, 'pending', "
        "'in_transit') WHEN 'paid' THEN 'paid' ELSE 'failed' END",
        "amount_minor": amount("n"), "currency": "'eur'", "origin": "'requested'", "livemode": 1,
        "automatic": 0, "method": "'standard'", "destination": "CONCAT('ba_', LEFT(SHA1(n), 24))",
        "arrival_date_s": f"{at} DIV 1000 + 172800", "created_s": f"{at} DIV 1000",
        "created_at_ms": f"{at} + 5000", "updated_at_ms": f"{at} + {2 * HOUR_MS}",
    }, has_payout  # fmt: skip
    payout, step = "((n + 2) DIV 3)", "((n + 2) MOD 3)"
    moved = f"({size.at(payout, size.payouts)} + 5000 + {step} * {HOUR_MS})"
    of = account_of(size.partner_of(payout))
    yield "payout_transitions", size.payouts * 3, {
        "id": row_id(moved, "n"), "account": of, "payout_id": size.payout_id(payout),
        "from_status": f"ELT({step} + 1, NULL, 'pending', 'in_transit')",
        "to_status": f"ELT({step} + 1, 'pending', 'in_transit', 'paid')",
        "event_id": event_name(f"(({payout} - 1) * {size.events // size.payouts} + 1 + {step})"),
        "reason": "'as Stripe reports'", "at_ms": moved,
    }, "1"  # fmt: skip
    yield "request_transitions", size.payouts * 3, {
        "id": row_id(moved, "n"), "account": of, "request_id": size.request_id(payout),
        "from_status": f"ELT({step} + 1, NULL, 'queued', 'sent')",
        "to_status": f"ELT({step} + 1, 'queued', 'sent', 'paid')", "reason": "'as the payout says'",
        "at_ms": moved,
    }, "1"  # fmt: skip
    payout, second = "((n + 1) DIV 2)", "(n MOD 2 = 0)"
    began = f"({size.at(payout, size.payouts)} + 4000 + {second} * 500)"
    leg_id, of = row_id(began, "n"), account_of(size.partner_of(payout))
    sent = (
        f"({size.request_status(payout)}) IN ('sending', 'sent', 'returned', 'reversed', 'paid', 'unclear')"
    )
    is_open = f"({size.request_status(payout)}) IN ('sending', 'unclear')"
    yield "legs", size.payouts * 2, {
        "id": leg_id, "account": of, "request_id": size.request_id(payout),
        "kind": f"IF({second}, 'payout', 'transfer')", "status": f"IF({is_open}, 'open', 'done')",
        "amount_minor": amount(payout), "currency": "'eur'",
        "stripe_id": f"IF({second}, {payout_name(payout)}, CONCAT('tr_', LEFT(SHA1(n), 24)))",
        "reversed_minor": 0, "created_at_ms": began, "updated_at_ms": began,
    }, sent  # fmt: skip
    yield "leg_attempts", size.payouts * 2, {
        "id": row_id(f"({began} + 1)", "n"), "account": of, "request_id": size.request_id(payout),
        "leg_id": leg_id, "number": 1, "idempotency_key": "CONCAT('payouts-', n)",
        "stripe_account": f"IF({second}, {of}, NULL)",
        "call": f"IF({second}, 'payouts.create', 'transfers.create')", "body": "'{}'",
        "status": f"IF({is_open}, 'open', 'succeeded')", "sends": 1, "first_sent_at_ms": began,
        "last_sent_at_ms": began, "answered_at_ms": f"{began} + 300", "http_status": 200,
        "worker": "'bench:1'",
    }, sent  # fmt: skip
    yield "approvals", size.payouts // 50, {
        "id": row_id(size.at("n", size.payouts // 50), "n"), "subject_id": size.request_id("(n * 50)"),
        "account": account_of(size.partner_of("(n * 50)")), "subject": "'request'", "decision": "'approved'",
        "actor": "'anna'", "at_ms": size.at("n", size.payouts // 50),
    }, "1"  # fmt: skip
    yield "holds", 500, {
        "id": row_id(size.at("n", 500), "n"), "account": "'platform'", "kind": "'manual'",
        "scope": "'partner'", "scope_key": size.partner_id("n MOD 20"), "reason": "'to be looked at'",
        "placed_by": "'anna'", "placed_at_ms": size.at("n", 500), "active": "n > 490",
        "released_by": "IF(n > 490, NULL, 'anna')",
        "released_at_ms": f"IF(n > 490, NULL, {size.at('n', 500)} + 60000)",
    }, "1"  # fmt: skip
    yield "payout_batches", DAYS, {
        "id": row_id(size.at("n", DAYS), "n"), "account": "'platform'", "schedule": "'daily'",
        "planned_for": f"DATE_FORMAT(FROM_UNIXTIME({size.at('n', DAYS)} DIV 1000), '%Y-%m-%d')",
        "status": "'done'", "partners": size.partners // 4, "requested": size.payouts // DAYS // 2,
        "skipped": 5, "amounts": "'{}'", "created_at_ms": size.at("n", DAYS),
        "finished_at_ms": f"{size.at('n', DAYS)} + 60000",
    }, "1"  # fmt: skip


def _books(size: Size) -> Iterator[tuple[str, int, Values, str]]:
    number, kind = "((n - 1) DIV 8)", "((n - 1) MOD 8)"
    kinds = "'owed', 'in_transit', 'paid', 'at_stripe', 'at_bank', 'returned'"
    yield "ledger_accounts", size.partners * 8, {
        "id": size.ledger_account(number, kind), "account": account_of(number),
        "partner_id": size.partner_id(number), "kind": f"ELT({kind} + 1, {kinds})", "currency": "'eur'",
        "balance_minor": 0, "created_at_ms": size.since_ms - 10 * DAY_MS,
    }, f"{kind} < 6"  # fmt: skip
    own = f"{size.partners}"
    yield "ledger_accounts", 4, {
        "id": size.ledger_account(own, "(n - 1)"), "account": "'platform'", "partner_id": 0,
        "kind": "ELT(n, 'credits', 'funding', 'stripe_balance', 'fees')", "currency": "'eur'",
        "balance_minor": 0, "created_at_ms": size.since_ms - 10 * DAY_MS,
    }, "1"  # fmt: skip
    payout, step = "((n + 4) DIV 5)", "((n + 4) MOD 5)"
    posted = f"({size.at(payout, size.payouts)} + {step} * 1800000)"
    transaction = row_id(posted, "n")
    partner = size.partner_of(payout)
    yield "ledger_transactions", size.payouts * 5, {
        "id": transaction, "account": account_of(partner), "partner_id": size.partner_id(partner),
        "kind": f"ELT({step} + 1, 'credit', 'request', 'transfer', 'payout_created', 'payout_paid')",
        "reference": "CONCAT('posted:', n)", "request_id": f"IF({step} > 0, {size.request_id(payout)}, NULL)",
        "payout_id": f"IF({step} > 2, {size.payout_id(payout)}, NULL)",
        "effective_at_ms": posted, "posted_at_ms": posted,
    }, "1"  # fmt: skip
    number, side = "((n + 1) DIV 2)", "(n MOD 2)"
    payout, step = f"(({number} + 4) DIV 5)", f"(({number} + 4) MOD 5)"
    posted, partner = f"({size.at(payout, size.payouts)} + {step} * 1800000)", size.partner_of(payout)
    whose = f"IF({side} AND {step} IN (0, 2), {own}, {partner})"
    which = f"IF({side}, ELT({step} + 1, 0, 0, 2, 3, 1), ELT({step} + 1, 0, 1, 3, 4, 2))"
    yield "postings", size.payouts * 10, {
        "id": row_id(posted, "n"),
        "account": f"IF({side} AND {step} IN (0, 2), 'platform', {account_of(partner)})",
        "transaction_id": row_id(posted, number), "ledger_account_id": size.ledger_account(whose, which),
        "amount_minor": f"IF({side}, -1, 1) * CAST({amount(payout)} AS SIGNED)",
    }, "1"  # fmt: skip


def _watched(size: Size) -> Iterator[tuple[str, int, Values, str]]:
    at, account = size.at("n", size.payouts), account_of(size.partner_of("n"))
    status = f"IF(n > {size.payouts - 50}, 'pending', IF(n MOD 5000 = 1, 'dead', 'delivered'))"
    notice = row_id(f"({at} + 6000)", "n")
    yield "outbox", size.payouts, {
        "id": notice, "account": account, "name": "'payout.completed'", "payout_id": size.payout_id("n"),
        "request_id": size.request_id("n"), "dedupe_key": "CONCAT('payout.completed:', n)", "body": "'{}'",
        "status": status, "due_at_ms": at, "created_at_ms": at, "delivered_at_ms": f"{at} + 900",
    }, "1"  # fmt: skip
    yield "notice_deliveries", size.payouts, {
        "id": row_id(f"({at} + 6001)", "n"), "account": account, "outbox_id": notice, "channel": "'log'",
        "status": "IF(n MOD 5000 = 1, 'dead', 'delivered')", "due_at_ms": at, "attempts": 1,
        "delivered_at_ms": f"{at} + 900",
    }, f"n <= {size.payouts - 50}"  # fmt: skip
    at = size.at("n", size.audit)
    yield "audit", size.audit, {
        "id": row_id(at, "n"), "account": "'platform'",
        "chain": f"CONCAT('platform/', DATE_FORMAT(FROM_UNIXTIME({at} DIV 1000), '%Y-%m'))", "number": "n",
        "at_ms": at, "actor": "ELT(n MOD 5 + 1, 'anna', 'ben', 'cleo', 'dan', 'program:portal')",
        "action": "IF(n MOD 20000 = 1, 'person.disabled', ELT(n MOD 3 + 1, 'payout.request', "
        "'payout.approve', 'event.dismiss'))",
        "subject": f"CONCAT('pay_', {size.request_id('n')})", "reason": "'as agreed'", "details": "'{}'",
        "previous": "SHA2(n - 1, 256)", "digest": "SHA2(n, 256)",
    }, "1"  # fmt: skip
    count = size.payouts // 50
    at = size.at("n", count)
    yield "differences", count, {
        "id": row_id(at, "n"), "account": account,
        "kind": "ELT(n MOD 4 + 1, 'status', 'amount', 'leg_open', 'payout_overdue')",
        "subject": f"CONCAT('pay_', {size.request_id('n')})", "currency": "'eur'", "ours": "'1'",
        "theirs": "'2'", "text": "'Stripe says another amount'", "remedy": "'look at it'",
        "first_seen_ms": at, "last_seen_ms": at, "healed_at_ms": f"IF(n MOD 100 = 1, NULL, {at} + 60000)",
        "healed_how": "IF(n MOD 100 = 1, NULL, 'agrees again')",
        "open_key": "IF(n MOD 100 = 1, CONCAT('status:', n), NULL)",
    }, "1"  # fmt: skip
    each = min(size.partners, 1000)
    day, of = f"((n - 1) DIV {each})", f"((n - 1) MOD {each})"
    day_s = f"({size.since_ms // 86_400_000 * 86_400} + {day} * 86400)"
    made = f"(({day_s} + 90000) * 1000 + {of})"
    yield "proofs", DAYS * each, {
        "id": row_id(made, "n"), "account": f"IF({of} = 0, 'platform', {account_of(of)})",
        "number": f"{day} + 1", "since_s": day_s, "until_s": f"{day_s} + 86399", "made_at_ms": made,
        "actor": "'scheduler'", "walk_id": row_id(made, "n"), "listed": 30,
        "applied": 25, "ignored": "5 - (n MOD 900 = 1)", "open": 0, "dead": 0, "dismissed": 0,
        "missing": "n MOD 900 = 1", "healed": "n MOD 1800 = 1", "unlisted": 0,
        "details": f"'{NO_DETAILS}'",
        "previous": "SHA2(n - 1, 256)", "digest": "SHA2(n, 256)",
    }, "1"  # fmt: skip
    walked_s = size.until_ms // 1000 - 60
    yield "catch_up_marks", size.partners, {
        "id": size.partner_id("(n - 1)"), "account": account_of("(n - 1)"),
        "walked_until_s": f"{walked_s} - n MOD 600", "walked_at_ms": f"{size.until_ms} - n",
        "failed_at_ms": f"{size.until_ms} - n",
        "proved_until_s": walked_s // 86400 * 86400,
    }, "1"  # fmt: skip
    yield "catch_up_walks", size.partners * 2, {
        "id": row_id(size.at("n", size.partners * 2), "n"), "account": account_of(f"(n MOD {size.partners})"),
        "cause": "'lookout'", "actor": "'scheduler'", "recipe": "'all'", "all_types": 1,
        "since_s": walked_s - 90000, "until_s": walked_s, "cut": 0, "advances": 1,
        "reached_s": walked_s - 90000, "listed": 30, "known": 30,
        "added": 0, "unreadable": 0, "reads": 1, "tries": 0, "tally": "'{}'",
        "status": "'done'", "due_at_ms": 0, "began_at_ms": size.at("n", size.partners * 2),
        "ended_at_ms": f"{size.at('n', size.partners * 2)} + 900",
    }, "1"  # fmt: skip
    yield "reconcile_progress", size.partners, {
        "id": size.partner_id("(n - 1)"), "account": account_of("(n - 1)"), "stage": "'done'",
        "since_s": walked_s - 90000, "until_s": walked_s, "began_at_ms": size.until_ms - HOUR_MS,
        "ended_at_ms": size.until_ms - HOUR_MS, "compared_until_s": walked_s, "lease_until_ms": 0,
    }, "1"  # fmt: skip
    yield "reconcile_rounds", DAYS * 4, {
        "id": row_id(size.at("n", DAYS * 4), "n"), "account": "'platform'",
        "began_at_ms": size.at("n", DAYS * 4), "moved_at_ms": size.at("n", DAYS * 4),
        "ended_at_ms": size.at("n", DAYS * 4), "next_account": "''", "partner_id": 0, "reads": 100,
    }, "1"  # fmt: skip
    replay, all_at_once = row_id(size.at("{0}", REPLAYS), "{0}"), size.events // 25
    yield "replays", REPLAYS, {
        "id": replay.format("n"), "account": "'platform'", "status": "IF(n MOD 10 = 1, 'canceled', 'done')",
        "selection": "'{\"type\":\"payout.paid\",\"status\":\"dead\"}'", "reason": "'mended'",
        "requested_by": "'anna'", "version": "'1'", "rate_per_s": 0, "position": 0, "until_id": 0,
        "total": f"IF(n = {REPLAYS}, {all_at_once}, {size.events // 15_000})",
        "applied": f"IF(n = {REPLAYS}, {all_at_once}, {size.events // 15_000})", "unchanged": 0,
        "waiting": 0, "failed": 0, "created_at_ms": size.at("n", REPLAYS),
        "ended_at_ms": f"{size.at('n', REPLAYS)} + 60000",
        "lease_until_ms": 0, "deaths": 0,
    }, "1"  # fmt: skip
    event = f"(n * {size.dead_each} - {size.dead_each - 4})"
    yield "replay_items", size.events // size.dead_each, {
        "replay_id": replay.format(f"(n * {REPLAYS - 1} DIV {size.events // size.dead_each + 1} + 1)"),
        "inbox_id": size.inbox_id(event), "account": account_of(size.partner_of(size.payout_of(event))),
        "event_id": event_name(event), "status_before": "'dead'", "outcome": "'applied'", "version": "'1'",
        "done_at_ms": size.until_ms,
    }, "1"  # fmt: skip
    event = "(n * 25 - 7)"  # the last replay: very many at once
    yield "replay_items", all_at_once, {
        "replay_id": replay.format(REPLAYS), "inbox_id": size.inbox_id(event),
        "account": account_of(size.partner_of(size.payout_of(event))), "event_id": event_name(event),
        "status_before": "'applied'",
        "outcome": "ELT(n MOD 4 + 1, 'applied', 'unchanged', 'unchanged', 'failed')",
        "version": "'1'", "done_at_ms": size.until_ms,
    }, "1"  # fmt: skip
