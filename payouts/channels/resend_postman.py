"""Resend as the postman, by its SDK.

Each mail has an idempotency key, so that Resend, which keeps them for 24 hours, sends it once however often
it is asked to. https://resend.com/docs/dashboard/emails/idempotency-keys, https://resend.com/docs/api-reference/errors
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from payouts.channels.answer import DOWN_PAUSE_S, pause_s
from payouts.channels.email import BadAddressError
from payouts.channels.wire import Wire
from payouts.letters.rendering import Mail
from payouts.notices import NoticeError

if TYPE_CHECKING:
    from resend.exceptions import ResendError

KEY_REUSED = "invalid_idempotent_request"
"""The same key came with another text: the mail was taken in the words of an earlier version."""
KEY_IN_USE = "concurrent_idempotent_requests"


class ResendPostman:
    """Sends by Resend. Only one in a process: the SDK keeps key and address to itself, for all.

    `api_key`: as it is now.
    """

    def __init__(
        self, api_key: Callable[[], str], api_base: str, sender: str, reply_to: str, timeout_s: float
    ) -> None:
        self._api_key = api_key
        self._api_base = api_base
        self._sender = sender
        self._reply_to = reply_to
        self._wire = Wire(timeout_s)

    def post(self, mail: Mail) -> None:
        """Send it. Raises NoticeError; BadAddressError where the address is none."""
        import resend
        from resend.exceptions import NoContentError, ResendError

        resend.api_key = self._api_key()
        resend.default_http_client = _http_client(self._wire)
        if self._api_base:
            resend.api_url = self._api_base
        content: Any = {
            "from": self._sender,
            "to": [mail.to],
            "subject": mail.subject,
            "html": mail.html,
            "text": mail.text,
            "tags": [{"name": name, "value": value} for name, value in mail.tags.items()],
        }
        if self._reply_to:
            content["reply_to"] = self._reply_to
        try:
            resend.Emails.send(content, {"idempotency_key": mail.key})
        except NoContentError:
            raise NoticeError("Resend gave an empty answer", transient=True) from None
        except ResendError as error:
            found = _refusal(error)
            if found is not None:
                raise found from None

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()


def _refusal(error: "ResendError") -> NoticeError | None:
    """What to raise for an error of the SDK's; None: the mail was taken all the same."""
    code, kind = str(error.code), str(error.error_type)
    if kind == KEY_REUSED:
        return None
    said = f"Resend answered {code} {kind}: {str(error.message).strip()}"[:500]
    if kind == "HttpClientError":
        return NoticeError(f"Resend {error.message}", transient=True, pause_s=DOWN_PAUSE_S)
    if code == "429":
        headers = {name.lower(): value for name, value in error.headers.items()}
        return NoticeError(said, transient=True, pause_s=pause_s(headers.get("retry-after")), counts=False)
    if kind == KEY_IN_USE or code.startswith("5"):
        return NoticeError(said, transient=True)
    if code in ("401", "403"):
        # Key, domain or plan: every mail meets the same until somebody mends it.
        return NoticeError(said, transient=True, pause_s=DOWN_PAUSE_S)
    if code == "422" and "`to`" in str(error.message):
        return BadAddressError(said)
    return NoticeError(said, transient=False)


def _http_client(wire: Wire) -> Any:
    """`wire` as the SDK takes one. Its own follows redirects, and opens a connection for each mail."""
    import msgspec
    from resend.http_client import HTTPClient

    class OneWire(HTTPClient):
        def request(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str],
            json: Any = None,
            files: Any = None,
            data: Any = None,
        ) -> tuple[bytes, int, Mapping[str, str]]:
            said = {**headers, "Content-Type": "application/json"}
            answer = wire.send(method.upper(), url, said, msgspec.json.encode(json))
            return answer.body, answer.status, answer.headers

    return OneWire()
