"""An address of a partner's that mail came back from: written to again when a person says so."""

from sqlalchemy import Connection
from starlette.responses import Response

from console.web.call import Call
from console.web.verb import Verb
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.registering import the_partner
from payouts.updating import trust_email


def mail_verbs(found: Partner) -> list[Verb]:
    """The form, where mail came back."""
    if found.email_bounced_at_ms is None:
        return []
    return [
        Verb(
            "Write again",
            f"Mail came back from {found.email} ({found.email_bounce}). It is written to again, as it is; "
            "what was not sent meanwhile is among the dead notices.",
            f"/partners/{found.account}/trust-email",
        )
    ]


def trust(call: Call) -> Response:
    """Write to the address again."""

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        found = the_partner(connection, call.path("key"))
        return trust_email(connection, found.id, call.reason, actor, make_id, at_ms)

    done = call.do(work)
    return call.back(f"/partners/{done.account}", f"{done.reference} is written to again")


MAIL_VERBS = (("POST", "/partners/{key}/trust-email", trust, Scope.OPERATE),)
