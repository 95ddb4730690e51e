"""Who an identity provider says that somebody is, and the role that this gives here.

Pure. A provider speaks of groups, this service of roles; `RoleRules` is the way from one to the other.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from payouts.errors import RefusedError
from payouts.people import RESERVED_NAMES, Role, check_name

EVERYBODY = "*"
"""In place of a group: whoever the provider lets sign in."""
NAME_CHARS = 64
_SUFFIX_CHARS = 9
_BY_RANK = (Role.ADMIN, Role.APPROVER, Role.OPERATOR, Role.VIEWER)
_ORDER = {role: rank for rank, role in enumerate(_BY_RANK)}


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, as a provider vouches for them. `issuer` and `subject` together are theirs for ever.

    Everything else can change, and an e-mail address can be given to somebody else.
    """

    subject: str
    issuer: str
    name: str
    email: str
    email_verified: bool
    groups: tuple[str, ...]
    username: str = ""


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Which group gives which role: pairs, those of the highest role first."""

    pairs: tuple[tuple[Role, str], ...]

    def role_of(self, groups: Sequence[str]) -> tuple[Role, str] | None:
        """The highest role that `groups` give, with the group that gives it; None where none does."""
        of = set(groups)
        return next((pair for pair in self.pairs if pair[1] == EVERYBODY or pair[1] in of), None)

    def gives(self, role: Role) -> bool:
        """Whether some group gives `role`."""
        return any(given == role for given, _ in self.pairs)


def parse_role_rules(text: str) -> RoleRules:
    """Rules as `admin=payouts-admins,approver=finance,viewer=*`; a role may stand there more than once.

    ValueError, in words for who sets it, where `text` does not read as that.
    """
    pairs = []
    for part in text.split(","):
        word, _, group = (piece.strip() for piece in part.partition("="))
        if word not in set(Role):
            raise ValueError(f"{word!r} is no role: they are {', '.join(Role)}, each written as role=group")
        if not group:
            raise ValueError(f"the role {word} names no group: it is written as {word}=group")
        if group == EVERYBODY and word == Role.ADMIN:
            raise ValueError(
                f"admin={EVERYBODY} would make everybody an admin: name a group of the provider's"
            )
        pairs.append((Role(word), group))
    return RoleRules(tuple(sorted(pairs, key=lambda pair: _ORDER[pair[0]])))


def possible_names(identity: Identity) -> Iterator[str]:
    """Names for `identity` that `check_name` takes, the best first: then the same with a number.

    An address that the provider has not verified is nobody's name.
    """
    e_mail = identity.email if identity.email_verified else ""
    best = next(filter(None, map(_fit, (identity.username, e_mail, identity.name))), None)
    if best is None:
        whole = f"{identity.issuer} {identity.subject}".encode()
        best = f"person-{hashlib.sha256(whole).hexdigest()[:12]}"
    if best not in RESERVED_NAMES:
        yield best
    for number in range(2, 1_000):
        yield f"{best[: NAME_CHARS - _SUFFIX_CHARS]}-{number}"


def _fit(text: str) -> str | None:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    fit = re.sub(r"[^a-z0-9._@+-]+", "-", plain).lstrip("._@+-")[:NAME_CHARS].rstrip("-")
    if not fit or fit in RESERVED_NAMES:
        return fit or None
    try:
        return check_name(fit)
    except RefusedError:
        return None
