"""Events: read for 30 days, newest first, and sent again to who asks."""

from collections.abc import Callable

from sandbox import endpoints
from sandbox.calls import Call
from sandbox.deliveries import Deliveries
from sandbox.errors import bad_parameter, missing, missing_parameter
from sandbox.lists import page
from sandbox.settings import DAY_S
from sandbox.shared import Json

KEPT_FOR_S = int(30 * DAY_S)
MAX_TYPES = 20


class Events:
    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    def retrieve(self, call: Call) -> Json:
        call.params.finish()
        event = call.named(call.world.events, "event")
        if event["created"] < call.world.now() - KEPT_FOR_S:
            raise missing("event", event["id"])
        return event

    def list_all(self, call: Call) -> Json:
        """`delivery_success` false: at least one endpoint has not taken it, be it pending or given up."""
        of_type = _types(call)
        success = call.params.boolean("delivery_success")

        def keep(event: Json) -> bool:
            return of_type(event["type"]) and (
                success is None or self._deliveries.succeeded(event["id"]) is success
            )

        return page(call, call.world.events, "/v1/events", keep, since_s=call.world.now() - KEPT_FOR_S)

    def resend(self, call: Call) -> Json:
        """To the endpoint that is named, else to all that hear it: what `stripe events resend` asks for."""
        world, params = call.world, call.params
        account = params.text("account") or call.account
        wanted = params.text("webhook_endpoint")
        params.finish()
        event = world.events.find(account, call.path["id"])
        if event is None or (call.account not in (world.platform, account)):
            raise missing("event", call.path["id"])
        if wanted is not None:
            endpoint = world.endpoints.find(call.account, wanted)
            if endpoint is None:
                raise missing_parameter("webhook endpoint", wanted, "webhook_endpoint")
            chosen = [endpoint]
        else:
            all_ = world.endpoints.all()
            chosen = [each for each in all_ if endpoints.hears(world, each, account, event["type"])]
        for endpoint in chosen:
            self._deliveries.resend(event, endpoint)
        return event


def _types(call: Call) -> Callable[[str], bool]:
    """Whether a type is asked for: by `type`, which may end in `*`, or as one of `types`."""
    one, many = call.params.text("type"), call.params.texts("types", MAX_TYPES)
    if one is not None and many is not None:
        raise bad_parameter("types", "You may only specify one of type and types.")
    if one is not None and one.endswith("*"):
        return lambda kind: kind.startswith(one[:-1])
    wanted = [one] if one is not None else many
    return lambda kind: wanted is None or kind in wanted
