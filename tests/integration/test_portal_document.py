"""The API's document and its routes are one, and every answer is what the document says it is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.operations import OPERATIONS
from tests.support.portal import Portal, portal_on

EXAMPLES = 20
"""For each operation and each kind of data."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal_on(f"sqlite:///{tmp_path_factory.mktemp('api') / 'payouts.db'}") as portal:
        partner = portal.partner(10**14, reference="nord")
        for number in range(3):
            wish = {"partner": partner.reference, "currency": "eur", "amount_minor": 100}
            assert portal.post("/payouts", wish, key=f"first-{number}").status_code == 201
        yield portal


@pytest.fixture(scope="module")
def openapi(portal: Portal) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # the portal's parts are closed by the portal, not by this
        await portal.app(scope, receive, send)

    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


@pytest.mark.parametrize("exists", [False, True], ids=["made up", "about what exists"])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: f"{mode.value} data")
@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_any_answer_is_as_the_document_says(
    name: str, mode: GenerationMode, exists: bool, openapi: Any, portal: Portal
) -> None:
    asked = openapi.find_operation_by_id(name).as_strategy(generation_mode=mode)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @seed(1)
    @given(case=asked)
    def check(case: Any) -> None:
        if exists:
            make_it_exist(case, portal, mode)
        # Well-formed is not all: 10.0 is an integer to a schema, and a credit needs more than a name.
        without = [positive_data_acceptance]
        case.call_and_validate(headers={"Authorization": f"Bearer {portal.token}"}, excluded_checks=without)

    check()


def make_it_exist(case: Any, portal: Portal, mode: GenerationMode) -> None:
    """Put the partner, or the newest payout, in the place of what was made up."""
    for name in case.path_parameters or {}:
        newest = portal.value("SELECT MAX(id) FROM payout_requests")
        case.path_parameters[name] = "nord" if name == "reference" else f"pay_{newest}"
    if mode == GenerationMode.POSITIVE and isinstance(case.body, dict):
        known = {"partner": "nord", "currency": "eur"}
        case.body |= {name: value for name, value in known.items() if name in case.body}


def test_every_route_is_in_the_document_and_the_other_way_round(portal: Portal) -> None:
    routes = {
        (re.sub(r"{(\w+):?\w*}", r"{\1}", route.path), method)
        for route in portal.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    said = portal.get("/openapi.json", token="").json()

    assert routes == {(path, method.upper()) for path, ways in said["paths"].items() for method in ways}


def test_the_document_names_the_scope_and_the_key_of_each_operation(portal: Portal) -> None:
    said = portal.get("/openapi.json", token="").json()["paths"]

    request = said["/api/v1/payouts"]["post"]
    assert "`request`" in request["description"]
    assert [(one["name"], one["required"]) for one in request["parameters"]] == [("Idempotency-Key", True)]
    assert said["/api/v1/live"]["get"]["security"] == []
