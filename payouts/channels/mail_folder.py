"""A folder that mail goes to instead of to people: a file for each, as mail programs open it."""

import contextlib
import os
import re
import threading
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from payouts.letters.rendering import Mail
from payouts.notices import NoticeError

_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]")


class MailFolder:
    """Writes each mail to `<key>.eml`, so that a second delivery replaces the first. A file is whole or not
    there. Nothing is removed: it is for development."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    def post(self, mail: Mail) -> None:
        """Write the file. Raises NoticeError where the folder takes none: somebody may mend that."""
        name = f"{_UNUSUAL.sub('_', mail.key)}.eml"
        part = self._folder / f"{name}.{os.getpid()}-{threading.get_ident()}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(as_message(mail, self._sender).as_bytes(policy=SMTP))
            part.replace(self._folder / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise NoticeError(f"cannot write to {self._folder}: {error.strerror}", transient=True) from error


def as_message(mail: Mail, sender: str) -> EmailMessage:
    """A mail as a message: text, and HTML beside it."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["X-Key"] = mail.key
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message
