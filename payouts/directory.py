"""Letting in whom an identity provider vouches for: which person they are here, and with what role.

The provider says who may come in and as what; this service says who has left (`payouts people deactivate`).
"""

from dataclasses import replace
from itertools import islice

from sqlalchemy.exc import IntegrityError

from payouts.access import Step, add_person
from payouts.errors import RefusedError, RowIdTakenError, SignInError
from payouts.identity import Identity, RoleRules, possible_names
from payouts.people import SIGN_IN, Role
from payouts.storage.columns import PLATFORM
from payouts.storage.identity_rows import IDENTITIES, KnownIdentity, person_known_as
from payouts.storage.people_rows import PEOPLE, find_person, lock_active_admins, lock_person
from payouts.tokens import Person

GROUPS_LOGGED = 20


def admit_identity(step: Step, identity: Identity, rules: RoleRules) -> Person:
    """The person that `identity` is, with the role that its groups give now.

    Somebody new is added, and a role that no longer fits is changed, each on the audit log with the actor
    `sign-in`. A person is found by issuer and subject alone: an e-mail address can become another's, and
    whoever was added here under the same name stays somebody else.

    Works inside the caller's transaction (`in_transaction`, which repeats it where two first sign-ins of one
    person meet). SignInError: `no_role` where no group gives one, `inactive`, and `last_admin`.
    """
    step = replace(step, actor=SIGN_IN)
    found = rules.role_of(identity.groups)
    if found is None:
        raise SignInError(
            "no_role",
            "you are known to the identity provider, but none of your groups gives a role here: ask whoever "
            "runs this service to put you into one of the groups that OIDC_ROLES names",
            issuer=identity.issuer,
            subject=identity.subject,
            groups=identity.groups[:GROUPS_LOGGED],
        )
    role, group = found
    person = person_known_as(step.connection, identity.issuer, identity.subject)
    if person is None:
        return _added(step, identity, role)
    if person.active and person.role == role:
        return person
    return _with_role(step, person.name, role, group, rules)


def _added(step: Step, identity: Identity, role: Role) -> Person:
    name = _free_name(step, identity)
    try:
        person = add_person(step, name, role)
    except RefusedError:
        # Somebody took the name since: it is done again, with another one, or as the person who is there now.
        raise RowIdTakenError(f"the name {name} was taken just now") from None
    known = KnownIdentity(step.make_id(), PLATFORM, person.id, identity.issuer, identity.subject, step.at_ms)
    try:
        IDENTITIES.insert(step.connection, [known])
    except IntegrityError:
        # Most likely another sign-in of the same person came first: all of this one is done again, and
        # then finds what that one has added.
        raise RowIdTakenError(f"the identity {known.id}, or its row id, is there already") from None
    details = {"issuer": identity.issuer, "subject": identity.subject}
    step.note("person.identity", f"person:{name}", details)
    return person


def _free_name(step: Step, identity: Identity) -> str:
    tried = 200
    for name in islice(possible_names(identity), tried):
        if find_person(step.connection, name) is None:
            return name
    raise RefusedError("name_taken", f"{tried} names like the one of {identity.subject} are taken already")


def _with_role(step: Step, name: str, role: Role, group: str, rules: RoleRules) -> Person:
    # In the order of every change to people: the admins, then the person, then the audit log.
    admins = lock_active_admins(step.connection)
    person = lock_person(step.connection, name)
    if not person.active:
        raise SignInError(
            "inactive",
            f"{name} was deactivated here, whatever the identity provider says: ask an admin",
        )
    if person.role == role:
        return person
    if [admin.id for admin in admins] == [person.id] and not rules.gives(Role.ADMIN):
        # The provider is believed when it takes the last admin away, as long as it can appoint another.
        raise SignInError(
            "last_admin",
            f"{name} is the last admin, the groups of the identity provider say {role}, and no group in "
            "OIDC_ROLES gives the role admin: add an admin with `payouts people add NAME --role admin`, or "
            "name a group for it, then sign in again",
        )
    changed = replace(person, role=role)
    PEOPLE.save(step.connection, [changed])
    step.note("person.role", f"person:{name}", {"from": person.role, "to": role, "group": group})
    return changed
