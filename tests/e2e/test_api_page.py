"""The examples of the page on the API, run as they stand there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_portal import api_of
from tests.support.stack import Stack

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EXAMPLES = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: apt-get install curl")
def test_the_examples_of_the_page_do_what_it_says(stack: Stack) -> None:
    with api_of(stack) as client:
        env = {
            "PATH": os.environ["PATH"],
            "API": str(client.base_url).rstrip("/"),
            "TOKEN": client.headers["Authorization"].removeprefix("Bearer "),
        }
        said = [
            subprocess.run(
                ["sh", "-e", "-c", example], env=env, capture_output=True, text=True, check=True
            ).stdout
            for example in EXAMPLES
        ]

    partner, credit, payout = (json.loads(text) for text in said[:3])
    assert (partner["reference"], credit["amount_minor"]) == ("nord", 120_050)
    assert (payout["status"], payout["amount_minor"]) == ("queued", 120_050)
    listed, balance, statement = json_texts(said[3])
    assert [one["id"] for one in listed["data"]] == [payout["id"]]
    assert (balance["owed_minor"], balance["in_transit_minor"]) == (0, 120_050)
    assert [line["kind"] for line in statement["data"]] == ["request", "credit"]


def json_texts(text: str) -> list[Any]:
    """JSON texts that stand one after the other."""
    found = []
    while text.strip():
        one, end = json.JSONDecoder().raw_decode(text)
        found.append(one)
        text = text[end:].lstrip()
    return found
