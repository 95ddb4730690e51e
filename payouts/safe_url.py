"""Addresses that secrets may be sent to: TLS, or this machine."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

MAX_CHARS = 255


def is_safe(url: str) -> bool:
    """Whether `url` is one of https, or of http on this very machine (localhost, 127.0.0.0/8, ::1)."""
    parts = _split(url)
    if parts is None or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine by itself, without asking anybody."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def why_no_issuer(url: str) -> str | None:
    """What speaks against `url` as an issuer, to be read after its name; None where nothing does.

    OpenID Connect Discovery 1.0, 3: an issuer is an https address without query and fragment. 255
    characters are what there is room for.
    """
    parts = _split(url)
    if parts is None or len(url) > MAX_CHARS:
        return "does not read as an address: it looks like https://example.eu.auth0.com"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "must be an address without ? and #"
    if parts.username is not None or parts.password is not None:
        return "must be an address without a name and password in it"
    if not is_safe(url):
        return "must begin with https://; http:// is for a provider on this very machine"
    return None


def _split(url: str) -> SplitResult | None:
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None
