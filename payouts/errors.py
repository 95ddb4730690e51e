"""Errors named by their cause. Each says whether trying again can help."""


class PayoutsError(Exception):
    """Base of every error this service raises on purpose. `transient`: trying again may help."""

    transient = False


class SettingsError(PayoutsError):
    """A setting is missing or wrong; the message names it and says what to set."""


class StoreUnavailableError(PayoutsError):
    """The database or Redis did not take a write, or did not answer in time."""

    transient = True


class SpillRefusedError(PayoutsError):
    """Redis answers, but does not promise to keep what it takes, so nothing may be spilled to it."""

    transient = True


class ValuesChangedError(StoreUnavailableError):
    """The database took rows only after changing their values: its columns are not those of this code."""


class RowIdTakenError(PayoutsError):
    """A row id drawn here belongs to another row already; the unit of work draws again."""

    transient = True


class NotFoundError(PayoutsError):
    """What was asked for does not exist; the message names it."""


class RefusedError(PayoutsError):
    """What was asked for is not allowed as things stand; `code` names why, for programs.

    The message says what was refused, by which rule, and what can be done.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SignInError(RefusedError):
    """Somebody is not signed in. The message is for their page: it says why and what to do.

    `for_log` is what those who run the service need to see besides, and the page does not show. Neither
    holds a token or a secret.
    """

    def __init__(self, code: str, message: str, **for_log: object) -> None:
        super().__init__(code, message)
        self.for_log = for_log


class ProviderDownError(SignInError):
    """The identity provider does not answer, or not as one does: those signed in stay so."""

    transient = True

    def __init__(self, message: str, **for_log: object) -> None:
        super().__init__("provider_down", message, **for_log)


class ReferenceTakenError(RefusedError):
    """The same reference was used before, with other content."""

    def __init__(self, message: str) -> None:
        super().__init__("reference_taken", message)


class PayloadError(PayoutsError):
    """A stored payload does not read as what its type promises. Trying again cannot help."""


class PayloadUnavailableError(PayoutsError):
    """A payload cannot be had now: no key opens it, or its archive file does not answer or is damaged.

    Its event waits for a person or a setting: no attempt is counted, and it does not die of it.
    """

    transient = True


class GatewayError(PayoutsError):
    """A call to Stripe did not give an answer to act on.

    `transient` says whether the same call may succeed later, `blocked` whether it waits for a person or
    a setting (no attempt is counted then), `no_access` whether the account no longer lets us in.
    """

    def __init__(
        self, message: str, *, transient: bool, blocked: bool = False, no_access: bool = False
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.blocked = blocked
        self.no_access = no_access
