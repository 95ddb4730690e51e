"""What a provider's verified claims say of somebody."""

from collections.abc import Mapping
from typing import Any

from payouts.errors import SignInError
from payouts.identity import Identity

MAX_GROUPS = 1_000
TEXT_CHARS = 255


def groups_of(claims: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    """The groups in the claim `where`; None where there is no such claim.

    `where` is the claim's own name, as groups or https://example.com/groups, or, where there is none of that
    name, a path by dots into objects, as public_metadata.groups. One group may stand there without a list.
    """
    found = _at(claims, where)
    if found is None:
        return None
    listed = [found] if isinstance(found, str) else found
    if (
        not isinstance(listed, list)
        or len(listed) > MAX_GROUPS
        or not all(isinstance(group, str) for group in listed)
    ):
        raise SignInError(
            "groups_unreadable",
            f"the identity provider's claim {where} is no list of up to {MAX_GROUPS} names: whoever runs "
            "this service looks at OIDC_GROUPS_CLAIM and at what the provider puts there",
        )
    return tuple(listed)


def read_identity(claims: Mapping[str, Any], more: Mapping[str, Any], issuer: str, where: str) -> Identity:
    """Who the verified `claims` of an ID token are about. What they leave out is taken from `more`."""
    both = {**more, **claims}
    # An address and whether it is verified come from one place: the two may speak of different ones.
    address = claims if "email" in claims else more
    groups = groups_of(claims, where)
    return Identity(
        subject=claims["sub"],
        issuer=issuer,
        name=_text(both, "name"),
        email=_text(address, "email"),
        # Some providers send the word instead of the value.
        email_verified=address.get("email_verified") in (True, "true"),
        groups=(groups_of(more, where) or ()) if groups is None else groups,
        username=_text(both, "preferred_username"),
    )


def _at(claims: Mapping[str, Any], where: str) -> Any:
    if where in claims:
        return claims[where]
    found: Any = claims
    for part in where.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value[:TEXT_CHARS] if isinstance(value, str) else ""
