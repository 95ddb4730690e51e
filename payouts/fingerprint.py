"""How a signing secret is named where it must not be shown."""

import hashlib
from typing import Literal

Role = Literal["platform", "connect"]


def label(role: Role, secret: str) -> str:
    """The name that a secret is recorded under: its list and its fingerprint, never itself."""
    return f"{role}:{fingerprint(secret)}"


def fingerprint(secret: str) -> str:
    """The first 8 hex digits of the secret's SHA-256: tells secrets apart without showing any of one."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]
