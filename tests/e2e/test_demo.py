"""What a newcomer sees: one command starts everything, and a partner is paid before their eyes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

WITHIN_S = 120


def test_up_with_a_demonstration_pays_a_partner_and_shows_that_the_books_balance(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "console.main",
        "up",
        "--data",
        str(tmp_path / "d"),
        "--port",
        "0",
        "--demo",
    ]
    screen = tmp_path / "screen"
    with screen.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + WITHIN_S
        while "paid, and the books balance" not in (shown := screen.read_text()):
            assert process.poll() is None, shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)

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
    assert "broken" not in shown
