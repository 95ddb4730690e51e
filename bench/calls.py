"""`python -m bench.calls sdk|raw FILE THREADS`: the calls of payouts and nothing besides, a ceiling.

Waits for a line on its standard input, makes a transfer and then a payout for each line of FILE, and tells
in JSON when it began and ended. `sdk`: through the gateway of the service. `raw`: with the standard library's
HTTP client, to show what the SDK costs.
"""

import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from bench.money import new_partner, new_request
from payouts.calls import Call, FrozenCall, Made, payout_call, transfer_call
from payouts.ids import IdMaker
from payouts.sdk_gateway import API_VERSION, SdkGateway

Send = Callable[[FrozenCall], bool]
_PATHS = {Call.TRANSFER: "/v1/transfers", Call.PAYOUT: "/v1/payouts"}


def main() -> None:
    kind, file, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    key, address = os.environ["STRIPE_API_KEY"], os.environ["STRIPE_API_BASE"]
    gateway = SdkGateway(key, address)
    calls = iter([_calls(*line.split()) for line in file.read_text().splitlines()])
    guard = threading.Lock()

    def sender() -> Send:
        return _raw(key, address) if kind == "raw" else lambda call: isinstance(gateway.send(call), Made)

    failed: list[FrozenCall] = []

    def work() -> None:
        send = sender()
        while True:
            with guard:
                pair = next(calls, None)
            if pair is None:
                return
            failed.extend(call for call in pair if not send(call))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    _say("ready")
    sys.stdin.readline()
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ended = time.monotonic()
    if failed:
        sys.exit(f"{len(failed)} calls were not answered well")
    _say(json.dumps({"began": began, "ended": ended}))


_make_id = IdMaker()


def _calls(account: str, bank_account: str) -> tuple[FrozenCall, FrozenCall]:
    request = new_request(_make_id(), new_partner(_make_id(), account, bank_account))
    return (
        transfer_call(request, _make_id(), _make_id()),
        payout_call(request, _make_id(), _make_id(), bank_account),
    )


def _raw(key: str, address: str) -> Send:
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    always = {
        "Authorization": f"Bearer {key}",
        "Stripe-Version": API_VERSION,
        "Content-Type": "application/x-www-form-urlencoded",
    }

    def send(call: FrozenCall) -> bool:
        headers = {**always, "Idempotency-Key": call.idempotency_key}
        if call.stripe_account:
            headers["Stripe-Account"] = call.stripe_account
        connection.request("POST", _PATHS[call.call], urlencode(list(_flat(call))), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200

    return send


def _flat(call: FrozenCall) -> Iterator[tuple[str, str]]:
    for name, value in call.params.items():
        if isinstance(value, dict):
            yield from ((f"{name}[{key}]", str(part)) for key, part in value.items())
        else:
            yield name, str(value)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
