"""Who people are to an identity provider, as rows."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from payouts.storage.people_rows import PEOPLE
from payouts.storage.people_tables import identities, people
from payouts.storage.records import Records
from payouts.tokens import Person


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """A person's identity at a provider. One identity is one person's for ever."""

    id: int
    account: str
    person_id: int
    issuer: str
    subject: str
    created_at_ms: int


IDENTITIES = Records(
    identities,
    KnownIdentity,
    fixed=[column.name for column in identities.c],
    reads={},
)


def person_known_as(connection: Connection, issuer: str, subject: str) -> Person | None:
    """The person with this identity, read without a lock."""
    owner = select(identities.c.person_id).where(
        identities.c.issuer == issuer, identities.c.subject == subject
    )
    return next(iter(PEOPLE.find(connection, people.c.id == owner.scalar_subquery())), None)
