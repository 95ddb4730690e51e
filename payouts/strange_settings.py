"""Environment variables that look like settings of this service and are none: most often misspelt.

An environment is full of names that belong to others, so only two kinds count: a name that is nearly that of
a setting which is not set, and one that begins as only this service's settings do. What others are known to
set is left alone.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping

FILE_SUFFIX = "_FILE"
NEAR = 0.88
"""How alike two names must be (difflib's ratio). A letter more or less in a short name is; APP_PORT and
API_PORT, which are two things, are not."""
OURS = (
    *("ARCHIVE_", "BANK_", "CATCH_UP_", "CONSOLE_", "NOTICE_", "OIDC_", "PAYLOAD_", "RECEIVER_"),
    *("RECONCILE_", "REPLAY_", "SENDER_", "STRIPE_CONNECT_", "STRIPE_WEBHOOK_", "SWEEP_"),
)
"""Not STRIPE_, DATABASE_, REDIS_, API_, LOG_, SESSION_ or WORKER_: portals and tools set these too."""
_OTHERS = re.compile(
    r"\w+_SERVICE_(HOST|PORT(_\w+)?)"  # Kubernetes, for every service of the namespace
    r"|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?"  # as above, and Docker's links
    r"|STRIPE_(CLI|MOCK)_\w+|STRIPE_(DEVICE_NAME|SECRET_KEY|PUBLISHABLE_KEY|PUBLIC_KEY)"
)


LINK = re.compile(r"(tcp|udp|sctp)://")
"""What Kubernetes sets `NAME_PORT` to where the namespace has a service called name."""


def strange(
    environment: Mapping[str, str], settings: Collection[str], secrets: Collection[str]
) -> Iterator[str]:
    """A line for each name in `environment` that looks like a setting and is none.

    `settings`: all of them, in capitals. `secrets`: those that may come from a file.
    """
    names = sorted(environment)
    known = {*settings, *(secret + FILE_SUFFIX for secret in secrets)}
    given = {name.upper().removesuffix(FILE_SUFFIX) if name.upper() in known else name for name in names}
    for name in names:
        upper = name.upper()
        if upper in known:
            continue
        base = upper.removesuffix(FILE_SUFFIX)
        if base != upper and base in settings:
            yield f"{name} is not a setting: only secrets are read from files; set {base} itself"
        elif not _OTHERS.fullmatch(upper) and not LINK.match(environment[name]):
            yield from _near(name, upper, known, given)


def _near(name: str, upper: str, known: Collection[str], given: Collection[str]) -> Iterator[str]:
    alike = difflib.get_close_matches(upper, known, n=1, cutoff=NEAR)
    # One that is set was spelt right: the name that is like it is then somebody else's. So is a name of one
    # word more, as ENVIRONMENT_ID.
    meant = alike[0] if alike and not upper.startswith(f"{alike[0]}_") else None
    if meant and meant.removesuffix(FILE_SUFFIX) not in given:
        yield f"{name} is not a setting: did you mean {meant}?"
    elif upper.startswith(OURS):
        yield (
            f"{name} is not a setting, though it begins like one: unset it, or name it in OTHER_VARIABLES if "
            "another program needs it (`payouts settings` lists all there are)"
        )
