"""Each refusal of the domain has its place in the table of problems."""

import ast
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from api.problems import REFUSALS, told, wrong_fields
from api.schemas import NewPayout
from payouts.errors import NotFoundError, ReferenceTakenError, RefusedError, StoreUnavailableError
from payouts.tokens import TokenError

ROOT = Path(__file__).resolve().parents[2] / "payouts"
USED = (
    *("requesting", "canceling", "crediting", "registering", "closing", "money", "words", "reasons"),
    "storage/idempotency_rows",
)
"""What the API calls, and what that calls in turn, as far as it refuses anything."""
NEVER_ASKED = {"period_not_next", "bad_period"}
"""Of closing a month, which the API does not do."""


def codes(source: str) -> set[str]:
    """The codes that a module's source gives to a RefusedError."""
    return {
        str(node.args[0].value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "RefusedError"
        and isinstance(node.args[0], ast.Constant)
    }


@pytest.mark.parametrize("module", USED)
def test_every_code_that_can_reach_the_portal_has_a_status_of_its_own(module: str) -> None:
    raised = codes((ROOT / f"{module}.py").read_text())

    assert raised - NEVER_ASKED <= REFUSALS.keys()


def test_this_check_finds_codes() -> None:
    assert codes('raise RefusedError("a", "x")\nraise RefusedError(\n    "b",\n    "y",\n)') == {"a", "b"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RefusedError("wrong_currency", "no"), 422, "wrong_currency"),
        (RefusedError("a_new_one", "no"), 409, "a_new_one"),
        (RefusedError("not_allowed", "no"), 403, "not_allowed"),
        (ReferenceTakenError("no"), 409, "reference_taken"),
        (TokenError("token_expired", "no"), 401, "token_expired"),
        (NotFoundError("no"), 404, "not_found"),
        (StoreUnavailableError("no"), 503, "unavailable"),
        (OperationalError("x", None, Exception(2003, "refused")), 503, "unavailable"),
        (TimeoutError("no"), 503, "unavailable"),
    ],
)
def test_an_error_is_told_by_what_it_means(error: Exception, status: int, code: str) -> None:
    said = told(error)

    assert said is not None
    assert (said.status, said.code) == (status, code)


def test_a_bug_is_no_refusal() -> None:
    assert told(ValueError("inner")) is None
    assert told(IntegrityError("x", None, Exception(1062, "duplicate"))) is None


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b'{"partner": "a"}', "currency"),
        (b'{"partner": "a", "currency": "eur", "amont": 1}', "amont"),
        (b'{"partner": "a", "currency": "eur", "amount_minor": 1.5}', "amount_minor"),
        (b'{"partner": "a", "currency": "eur"}', None),
    ],
)
def test_a_wrong_field_is_named(sent: bytes, field: str | None) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(sent, type=NewPayout)

    assert wrong_fields(caught.value).where == field
