"""Webhook endpoints: where events go, which ones, and the secret that signs them."""

import re

from sandbox import objects
from sandbox.accounts import application_id
from sandbox.calls import Call
from sandbox.errors import bad_parameter, missing
from sandbox.lists import page
from sandbox.params import Params
from sandbox.settings import API_VERSION
from sandbox.shared import Json
from sandbox.world import World

MAX_ENDPOINTS = 16
MAX_URL = 5000
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(\.[a-z_]+)?")
_URL = re.compile(r"https?://[^\s/]+\S*")


def create(call: Call) -> Json:
    world, params = call.world, call.params
    url = _url(params) or params.required_text("url")
    enabled_events = _enabled_events(params)
    if enabled_events is None:
        raise bad_parameter("enabled_events", "Missing required param: enabled_events.", "parameter_missing")
    version = params.text("api_version")
    if version is not None and not is_version(version):
        raise bad_parameter("api_version", f"Invalid API version: {version}")
    connect = params.boolean("connect") or False
    description, metadata = params.text("description"), params.metadata() or {}
    params.finish()
    if len(world.endpoints.of(call.account)) >= MAX_ENDPOINTS:
        raise bad_parameter("url", f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    made = objects.webhook_endpoint(
        world.new_id("we", call.account),
        world.now(),
        api_version=version,
        application=application_id(world) if connect else None,
        description=description,
        enabled_events=enabled_events,
        metadata=metadata,
        url=url,
    )
    world.endpoints.add(call.account, made)
    secret = world.names.id("whsec", made["id"])
    world.hide(made["id"], secret=secret, connect=connect)
    return made | {"secret": secret}


def retrieve(call: Call) -> Json:
    call.params.finish()
    return _named(call)


def list_all(call: Call) -> Json:
    return page(call, call.world.endpoints, "/v1/webhook_endpoints")


def update(call: Call) -> Json:
    params, endpoint = call.params, _named(call)
    url, enabled_events = _url(params), _enabled_events(params)
    disabled = params.boolean("disabled")
    described, description = params.has("description"), params.text("description")
    metadata = params.metadata(endpoint["metadata"])
    params.finish()
    if url is not None:
        endpoint["url"] = url
    if enabled_events is not None:
        endpoint["enabled_events"] = enabled_events
    if described:
        endpoint["description"] = description
    if metadata is not None:
        endpoint["metadata"] = metadata
    if disabled is not None:
        endpoint["status"] = "disabled" if disabled else "enabled"
    call.world.endpoints.changed(endpoint)
    return endpoint


def delete(call: Call) -> Json:
    endpoint = _named(call)
    call.params.finish()
    call.world.endpoints.remove(endpoint)
    call.world.forget(endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def hears(world: World, endpoint: Json, account: str, kind: str) -> bool:
    """Whether an event of this account and type goes to the endpoint: its owner's own ones, or for a Connect
    endpoint those of the connected accounts."""
    owner = world.endpoints.owner(endpoint["id"])
    if world.hidden[endpoint["id"]]["connect"]:
        theirs = account not in (owner, world.platform) and owner == world.platform
        reached = theirs and not world.hidden[account].get("deauthorized")
    else:
        reached = account == owner
    if not reached or endpoint["status"] != "enabled":
        return False
    return kind in endpoint["enabled_events"] or "*" in endpoint["enabled_events"]


def secret(world: World, endpoint: Json) -> str:
    value: str = world.hidden[endpoint["id"]]["secret"]
    return value


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def version(endpoint: Json) -> str:
    return endpoint["api_version"] or API_VERSION


def _url(params: Params) -> str | None:
    url = params.text("url", MAX_URL)
    if url is not None and not _URL.fullmatch(url):
        raise bad_parameter(
            "url", "Invalid URL: an explicit scheme (such as https) must be provided.", "url_invalid"
        )
    return url


def _enabled_events(params: Params) -> list[str] | None:
    given = params.texts("enabled_events")
    if given is not None and not given:
        raise bad_parameter("enabled_events", "Invalid array: enabled_events must not be empty")
    return given


def _named(call: Call) -> Json:
    endpoint = call.world.endpoints.find(call.account, call.path["id"])
    if endpoint is None:
        raise missing("webhook endpoint", call.path["id"])
    return endpoint
