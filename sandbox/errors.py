"""Stripe's refusals, as its API words them on the wire."""

from sandbox.shared import Json

DOCUMENTATION = "https://docs.stripe.com/error-codes/"


class StripeError(Exception):
    """A call that Stripe refuses.

    `kept` says whether execution had begun: then the answer belongs to the idempotency key, and is replayed.
    `should_retry` becomes the header Stripe-Should-Retry, which the SDK obeys.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        kind: str = "invalid_request_error",
        kept: bool = False,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.kept = kept
        self.should_retry = should_retry

    def to_json(self, request_id: str) -> Json:
        error: Json = {"message": self.message, "type": self.kind}
        if self.code:
            error |= {"code": self.code, "doc_url": DOCUMENTATION + self.code.replace("_", "-")}
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


def bad_parameter(param: str, message: str, code: str | None = None) -> StripeError:
    """Found before execution: not kept."""
    return StripeError(400, message, code, param=param)


def refused(code: str | None, message: str, param: str | None = None) -> StripeError:
    """A rule of the business, found by executing the call: kept with its key."""
    return StripeError(400, message, code, param=param, kept=True)


def missing(what: str, id_: str, param: str = "id") -> StripeError:
    """An object that is named by the path: 404."""
    return StripeError(404, f"No such {what}: '{id_}'", "resource_missing", param=param)


def missing_parameter(what: str, id_: str, param: str) -> StripeError:
    """An object that is named by a parameter: 400."""
    return StripeError(400, f"No such {what}: '{id_}'", "resource_missing", param=param)


def unknown_key(key: str) -> StripeError:
    shown = f"{key[:8]}{'*' * 12}{key[-4:]}" if len(key) > 16 else "*" * 8
    return StripeError(401, f"Invalid API Key provided: {shown}")


def no_key() -> StripeError:
    return StripeError(401, "You did not provide an API key: send it as a bearer token or by basic auth.")


def no_access(account: str) -> StripeError:
    message = (
        f"The provided key does not have access to account '{account}' (or that account does not exist)."
        " Application access may have been revoked."
    )
    return StripeError(403, message, "account_invalid")


def rate_limited() -> StripeError:
    message = "Request rate limit exceeded: send fewer calls, and back off exponentially."
    return StripeError(429, message, "rate_limit", should_retry=False)


def locked(account: str) -> StripeError:
    message = f"Another call is working on '{account}': this one could not get its lock. Try again."
    return StripeError(429, message, "lock_timeout", should_retry=True)


def other_parameters() -> StripeError:
    message = (
        "Keys for idempotent requests can only be used with the parameters that they were first used with."
    )
    return StripeError(400, message, kind="idempotency_error")


def key_in_use(key: str) -> StripeError:
    message = f"Another call with the idempotency key '{key}' is being worked on: try again later."
    return StripeError(409, message, "idempotency_key_in_use", kind="idempotency_error", should_retry=True)


def internal(kept: bool) -> StripeError:
    """A 500. One that is kept would be replayed, so trying again is of no use to the SDK."""
    return StripeError(
        500, "An unknown error occurred", kind="api_error", kept=kept, should_retry=False if kept else None
    )
