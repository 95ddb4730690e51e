"""The log as a channel: a line for each notice, with ids only."""

from payouts.logs import get_logger
from payouts.notices import Notice


class LogChannel:
    """Writes `notice.delivered` with ids. The body stays out: it may say more than a log should keep."""

    def __init__(self) -> None:
        self._log = get_logger()

    def deliver(self, notice: Notice) -> None:
        """Write the line; never fails."""
        self._log.info(
            "notice.delivered",
            notice_id=str(notice.id),
            name=notice.name,
            account=notice.account,
            payout_id=None if notice.payout_id is None else str(notice.payout_id),
            request_id=None if notice.request_id is None else str(notice.request_id),
        )
