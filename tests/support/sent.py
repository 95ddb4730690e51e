"""What a console sends to the workers, kept in a list in place of a queue."""

import dataclasses

from console.web.app import make_app
from tests.support.site import Site
from workers.messages import Messages


class Sent(Messages):
    """Keeps the name and the arguments of each message."""

    def __init__(self) -> None:
        self.all: list[tuple[str, tuple[object, ...]]] = []

    def _send(self, queue: str, actor: str, *arguments: object, delay_ms: int | None = None) -> None:
        self.all.append((actor, arguments))


def keep_messages(site: Site, sent: Sent | None = None) -> Sent:
    """From now on what `site` sends is kept here."""
    sent = sent or Sent()
    site.parts = dataclasses.replace(site.parts, messages=sent)
    site.app = make_app(site.parts)
    return sent
