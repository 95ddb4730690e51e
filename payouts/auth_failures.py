"""Requests and sign-ins that let nobody in, counted by kind: they ask for different things to be done."""

from collections.abc import Mapping
from enum import StrEnum

from payouts.meters import AUTH_FAILURES, Counter, Totals


class AuthFailure(StrEnum):
    """Why nobody was let in. A closed list, as it is the values of a label."""

    MISSING = "missing"
    """A program sent no token, or not in the one form there is. Who has to sign in yet is no failure."""
    UNKNOWN = "unknown"
    """A token that was never given out here: guessed, or of another installation."""
    ENDED = "ended"
    """A token that was good once: expired, revoked, or of somebody who was deactivated."""
    SESSION = "session"
    """A session that is over."""
    PROVIDER = "provider"
    """The identity provider does not answer, or not as one does."""
    REFUSED = "refused"
    """The provider signed nobody in, or somebody who may not come in here."""
    THROTTLED = "throttled"
    """A sign-in after too many that failed."""


_KINDS: Mapping[str, AuthFailure] = {
    "token_missing": AuthFailure.MISSING,
    "token_unknown": AuthFailure.UNKNOWN,
    "token_expired": AuthFailure.ENDED,
    "token_revoked": AuthFailure.ENDED,
    "person_inactive": AuthFailure.ENDED,
    "provider_down": AuthFailure.PROVIDER,
    "provider_unfit": AuthFailure.PROVIDER,
    "too_many_tries": AuthFailure.THROTTLED,
}


def kind_of(code: str) -> AuthFailure:
    """The kind of a refusal, by its code: REFUSED where it is none of the others."""
    return _KINDS.get(code, AuthFailure.REFUSED)


class AuthFailures:
    """Counts them for one role, from any thread. A meter."""

    families = (AUTH_FAILURES,)

    def __init__(self, role: str) -> None:
        self._role = role
        self._counter = Counter(AUTH_FAILURES)

    def note(self, kind: AuthFailure) -> None:
        """Count one."""
        self._counter.add({(self._role, kind.value): 1})

    def totals(self) -> Totals:
        """By role and kind, those that never came as 0: the first of a kind is an increase too."""
        zeros = {(AUTH_FAILURES, self._role, kind.value): 0 for kind in AuthFailure}
        return zeros | dict(self._counter.totals())
