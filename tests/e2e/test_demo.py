"""What a newcomer sees: one command starts everything, a partner is paid before their eyes, and an event that
died is left for them to heal."""

import re
import shlex
from pathlib import Path

from tests.support.commands import run_here
from tests.support.demo import up_with_demo


def typed(line: str) -> str:
    """What a command of the story says, typed as it is shown."""
    done = run_here(*shlex.split(line))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_up_with_a_demonstration_pays_a_partner_and_leaves_an_event_to_heal(tmp_path: Path) -> None:
    with up_with_demo(tmp_path / "d") as shown:
        assert "Traceback" not in shown
        for step in (
            "ledger fund",
            "partner add",
            "credit",
            "bank approve",
            "payout request",
            "payout show",
            "ledger check",
        ):
            assert f"$ payouts {step}" in shown
        assert "in_transit → paid 120.50 EUR" in shown
        assert "paid, and the books balance" in shown
        assert "broken" not in shown

        # What is left to do is done as it was shown, in that order.
        groups, show, preview, replay, payout, check = re.findall(r"^\S+   \S*payouts (.*)$", shown, re.M)
        assert " in_transit " in typed(payout)
        assert "PracticeError: the bank's trace id <text> is not a number" in typed(groups)
        assert "read_failing_once" in typed(show)
        assert "in_transit → paid, sent → paid" in typed(preview)
        assert " in_transit " in typed(payout)
        assert "applied  1       in_transit → paid" in typed(f"{replay} --yes")
        assert "in_transit → paid 79.90 EUR" in typed(payout)
        assert "broken" not in typed(check)
        assert "nothing stands failed" in typed(groups)
