"""Commands that get a name of nothing: refused, with how to find one that is there; nothing is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import run_here
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.world import World, world_on

WHY = ("--reason", "tests")
EVENTS = "`payouts event list`"
GROUPS = "`payouts dead groups`"
REPLAYS = "`payouts replay list`"
REQUESTS = "`payouts payout requests`"
PARTNERS = "`payouts partner list`"

REFUSED = [
    *[
        (("replay", "start", *named, *how), what, where)
        for how in (("--dry-run",), (*WHY, "--yes"))
        for named, what, where in (
            (("--group", "no1"), "no group no1", GROUPS),
            (("evt_no",), "no such event in the inbox: evt_no", EVENTS),
            (("--account", "acct_no"), "no event came from acct_no", EVENTS),
            (("--payout", "pay_7"), "no requested payout pay_7", REQUESTS),
            (("--payout", "po_no"), "no event is about po_no", EVENTS),
        )
    ],
    (("replay", "start", "--type", "no.such", "--dry-run"), "no event fits: type no.such", EVENTS),
    (("replay", "start", "evt_1", "--status", "dead", "--dry-run"), "not with all else", "evt_1"),
    (("replay", "show", "rep_7"), "no replay 7", REPLAYS),
    (("replay", "pause", "rep_7", *WHY), "no replay 7", REPLAYS),
    (("dead", "show", "no1"), "no group no1", GROUPS),
    (("dead", "list", "--group", "no1"), "no group no1", GROUPS),
    (("dead", "ignore", "--group", "no1", *WHY), "no group no1", GROUPS),
    (("dead", "restore", "evt_no", *WHY), "no such event in the inbox: evt_no", EVENTS),
    (
        ("dead", "ignore", "evt_1", *WHY),
        "no dead event with events evt_1",
        "`payouts dead list --status dead`",
    ),
    (("event", "show", "evt_no"), "no event evt_no", EVENTS),
    (("payout", "approve", "pay_7", *WHY), "no requested payout pay_7", REQUESTS),
    (("payout", "retry", "invoice", *WHY), "'invoice' is no requested payout", REQUESTS),
    (("payout", "hold", "pay_7", *WHY), "no requested payout pay_7", REQUESTS),
    (("payout", "requests", "--partner", "no1"), "no partner no1", PARTNERS),
    (("partner", "show", "no1"), "no partner no1", PARTNERS),
    (("hold", "release", "7", *WHY), "no hold 7", "`payouts hold list`"),
    (("audit", "verify", "--chain", "no/2026-01"), "no audit chain no/2026-01", "`payouts audit list`"),
    (("people", "deactivate", "nobody"), "no person nobody", "`payouts people list`"),
    (("token", "revoke", "7"), "no token 7", "`payouts token list`"),
    (("proof", "show", "7"), "no proof 7", "`payouts proof list`"),
    (("proof", "verify", "--account", "acct_no"), "nothing is proven of acct_no", "`payouts proof list`"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, str]]]:
    path: Path = tmp_path_factory.mktemp("unknown") / "payouts.db"
    url = migrated_file(path)
    with world_on(url) as made:
        made.apply(made.add(event_body("evt_1", "paid", payout_object("po_1", "paid"))))
        token = run_here("people", "add", "anna", "--role", "admin", DATABASE_URL=url).stdout.strip()
        yield made, {"DATABASE_URL": url, "PAYOUTS_TOKEN": token}


@pytest.mark.parametrize(("words", "what", "where"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_a_name_of_nothing_is_refused_with_how_to_find_one(
    world: tuple[World, dict[str, str]], words: tuple[str, ...], what: str, where: str
) -> None:
    here, environment = world
    done = run_here(*words, **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert what in done.stderr
    assert where in done.stderr
    assert here.statuses() == {"evt_1": "applied"}
    assert here.rows("SELECT id FROM replays") == []


def test_a_list_that_is_empty_says_what_it_was_asked_for(world: tuple[World, dict[str, str]]) -> None:
    _, environment = world
    said = run_here("event", "list", "--account", "acct_typo", **environment).stdout
    assert "none with account acct_typo" in said
    assert run_here("replay", "list", **environment).stdout.splitlines()[-1] == "none"
