"""What is known of a partner's Stripe account is asked for again, outside any transaction, and believed."""

import dataclasses
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.errors import GatewayError
from payouts.gateway import StripeGateway
from payouts.ids import IdMaker
from payouts.partner import Partner, PartnerState
from payouts.registering import refreshed
from payouts.storage.partner_notices import PartnerNotice, insert_partner_notice
from payouts.storage.partner_rows import PARTNERS, lock_partner_of
from payouts.storage.request_rows import wake_for_partner
from payouts.storage.unit import in_transaction
from payouts.stripe_account import AccountObject, bank_need, need_of, read_account

BANK_NEEDED = "bank_account.needed"
CLOCKS_DIFFER_MS = 250
"""How far the clocks of two machines may be apart: by so much a question must be later than an event."""


def is_covered(stored_at_ms: int, asked_at_ms: int | None) -> bool:
    """Whether a question about an account tells what an event about it does, that was stored before it."""
    return stored_at_ms + CLOCKS_DIFFER_MS < (asked_at_ms or 0)


@dataclass(frozen=True, slots=True)
class Refresher:
    """Brings partners up to date. Safe to use from several threads: the newest question wins."""

    engine: Engine
    gateway: StripeGateway
    make_id: IdMaker
    clock: Clock

    def refresh(self, account: str) -> Partner | None:
        """Ask Stripe about the account of a partner; None where it belongs to no partner.

        Raises GatewayError, but for an account that no longer lets us in: its partner is blocked.
        """
        asked_at_ms = self.clock()
        try:
            found = read_account(self.gateway.account(account))
        except GatewayError as error:
            if not error.no_access:
                raise
            lost = str(error)
            return in_transaction(
                self.engine, lambda connection: self._block(connection, account, lost, asked_at_ms)
            )
        return in_transaction(
            self.engine, lambda connection: self._save(connection, account, found, asked_at_ms)
        )

    def _save(
        self, connection: Connection, account: str, found: AccountObject, asked_at_ms: int
    ) -> Partner | None:
        held = lock_partner_of(connection, account)
        if held is None or (held.refreshed_at_ms or 0) > asked_at_ms:
            return held
        partner = refreshed(held, found, asked_at_ms)
        PARTNERS.save(connection, [partner])
        if partner.bank_since_ms == asked_at_ms and partner.bank_account:
            text = f"{partner.reference} has a new bank account, {partner.bank_label}"
            notice = PartnerNotice("alert.bank_account_new", partner, asked_at_ms, text, partner.bank_account)
            insert_partner_notice(connection, notice, self.make_id)
        lacks = bank_need(found, partner.currency)
        if lacks not in (None, _known_need(held)) and partner.state != PartnerState.BLOCKED:
            self._tell_bank_needed(connection, partner, lacks, asked_at_ms)
        wake_for_partner(connection, partner.id, self.clock())
        return partner

    def _tell_bank_needed(self, connection: Connection, partner: Partner, lacks: str, at_ms: int) -> None:
        text = f"{partner.reference} has no bank account for {partner.currency.upper()} that can be paid to"
        about = {"lacks": lacks, "currency": partner.currency, "bank_label": partner.bank_label}
        notice = PartnerNotice(BANK_NEEDED, partner, at_ms, text, str(at_ms), about)
        insert_partner_notice(connection, notice, self.make_id)

    def _block(self, connection: Connection, account: str, lost: str, now_ms: int) -> Partner | None:
        held = lock_partner_of(connection, account)
        newer = held is not None and (held.refreshed_at_ms or 0) > now_ms
        if held is None or newer or held.state == PartnerState.BLOCKED:
            return held
        partner = dataclasses.replace(
            held,
            state=PartnerState.BLOCKED,
            state_reason=lost[:1000],
            refreshed_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        PARTNERS.save(connection, [partner])
        notice = PartnerNotice("alert.partner_blocked", partner, now_ms, lost, str(now_ms))
        insert_partner_notice(connection, notice, self.make_id)
        return partner


def _known_need(held: Partner) -> str | None:
    if held.refreshed_at_ms is None:
        return None  # nobody was told yet
    return need_of({"bank_account": held.bank_account, "bank_status": held.bank_status})
