"""What is known of a partner's Stripe account is asked for again, outside any transaction, and believed."""

import dataclasses
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.clock import CLOCKS_AGREE_MS, Clock
from payouts.errors import GatewayError
from payouts.gateway import StripeGateway
from payouts.ids import IdMaker
from payouts.partner import Partner, PartnerState
from payouts.registering import refreshed
from payouts.storage.partner_notices import PartnerNotice, insert_partner_notice
from payouts.storage.partner_rows import PARTNERS, lock_partner_of, registered_accounts
from payouts.storage.queries import reading
from payouts.storage.request_rows import wake_for_partner
from payouts.storage.unit import in_transaction
from payouts.stripe_account import AccountObject, bank_need, need_of, read_account

BANK_NEEDED = "bank_account.needed"
CLOCKS_DIFFER_MS = 2 * CLOCKS_AGREE_MS
"""How far the clocks of two machines may be apart, where each agrees with the database's."""
_TRIES = 3


def is_covered(stored_at_ms: int, asked_at_ms: int | None) -> bool:
    """Whether a question about an account surely came after an event about it was stored, by another's clock,
    and so its answer told of whatever that event does."""
    return stored_at_ms + CLOCKS_DIFFER_MS < (asked_at_ms or 0)


@dataclass(frozen=True, slots=True)
class Refresher:
    """Brings partners up to date. Safe to use from several threads and machines: the newest question wins."""

    engine: Engine
    gateway: StripeGateway
    make_id: IdMaker
    clock: Clock

    def refresh(self, account: str) -> Partner | None:
        """Ask Stripe about the account of a partner; None where it belongs to no partner.

        Raises GatewayError, but for an account that no longer lets us in: its partner is blocked.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._refresh(account)
            except _OvertakenError:
                continue  # whoever asks now asks later than both, whatever the clocks say
        return self._refresh(account, by_clock=True)

    def _refresh(self, account: str, *, by_clock: bool = False) -> Partner | None:
        with reading(self.engine) as connection:
            known_ms = registered_accounts(connection, [account]).get(account)
        asked = _Asked(self.clock(), known_ms, by_clock)
        try:
            found = read_account(self.gateway.account(account))
        except GatewayError as error:
            if not error.no_access:
                raise
            lost = str(error)
            return in_transaction(
                self.engine, lambda connection: self._block(connection, account, lost, asked)
            )
        return in_transaction(self.engine, lambda connection: self._save(connection, account, found, asked))

    def _save(
        self, connection: Connection, account: str, found: AccountObject, asked: "_Asked"
    ) -> Partner | None:
        held, asked_at_ms = lock_partner_of(connection, account), asked.at_ms
        if held is None or asked.is_late_for(held):
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

    def _block(self, connection: Connection, account: str, lost: str, asked: "_Asked") -> Partner | None:
        held, now_ms = lock_partner_of(connection, account), asked.at_ms
        if held is None or held.state == PartnerState.BLOCKED or asked.is_late_for(held):
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question: when it began by our clock, and when the one before had begun, by whosever clock."""

    at_ms: int
    known_ms: int | None
    by_clock: bool

    def is_late_for(self, held: Partner) -> bool:
        """Whether the partner as held, under lock, knows more than our answer says. _OvertakenError where
        another question was answered meanwhile, and the clocks are not to decide which was later."""
        if held.refreshed_at_ms == self.known_ms:
            return False
        if not self.by_clock:
            raise _OvertakenError
        return (held.refreshed_at_ms or 0) > self.at_ms


class _OvertakenError(Exception):
    """While we asked, somebody else was answered."""
