"""E-mail as a channel: a letter to the partner that a notice is about, by one of two postmen."""

from typing import Protocol

from payouts.cleaning import cleaned
from payouts.letters.letter import letter_of
from payouts.letters.rendering import Mail, Renderer
from payouts.logs import get_logger
from payouts.mail_addresses import Addresses
from payouts.notices import Closes, Notice, NoticeError

CHANNEL = "email"
MAX_ATTEMPTS = 26
"""They span less than 20 hours: the service that sends forgets after 24 which mail it has had."""


class BadAddressError(NoticeError):
    """The address cannot be written to at all."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class Postman(Protocol):
    """Takes mail out."""

    def post(self, mail: Mail) -> None:
        """Send it, within seconds; the same `key` may come again. Raises NoticeError."""
        ...


class EmailChannel:
    """Writes to partners. Nothing is sent to an address that mail came back from."""

    def __init__(self, postman: Postman, addresses: Addresses, renderer: Renderer) -> None:
        self._postman = postman
        self._addresses = addresses
        self._renderer = renderer

    def deliver(self, notice: Notice) -> None:
        """Send the letter; a notice that makes none is done with. Raises NoticeError."""
        letter = letter_of(notice)
        partner = None if letter is None else self._addresses.partner_of(notice.account)
        if letter is None or partner is None:
            get_logger().debug("email.nothing_to_send", notice_id=str(notice.id), name=notice.name)
            return
        if partner.email_bounced_at_ms is not None:
            raise NoticeError(
                f"mail to {partner.reference} came back, so nothing is sent: give it another address, or say "
                f"that it works (`payouts partner trust-email {partner.reference}`), then send this again",
                transient=False,
            )
        mail = self._renderer.render(letter, partner, f"{CHANNEL}-{notice.id}")
        try:
            self._postman.post(mail)
        except BadAddressError as error:
            self._addresses.came_back(partner.id, mail.to, cleaned(str(error)))
            raise

    def close(self) -> None:
        """Let go of what the postman holds open."""
        if isinstance(self._postman, Closes):
            self._postman.close()
