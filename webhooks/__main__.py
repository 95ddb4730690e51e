"""`python -m webhooks`: the receiver as a process."""

import sys

from payouts.error_reports import open_troubles
from payouts.errors import PayoutsError
from payouts.logs import configure_logging, get_logger
from payouts.settings import load_settings
from webhooks.app import WEBHOOK_PATH, build_app
from webhooks.server import serve


def main() -> None:
    try:
        settings = load_settings()
        troubles = open_troubles(settings, "receiver")
        app = build_app(settings, troubles)
    except PayoutsError as error:
        sys.exit(f"payouts receiver: {error}")
    configure_logging(settings.log_level, settings.log_format, troubles.note)
    where = f"http://{settings.receiver_host}:{settings.receiver_port}{WEBHOOK_PATH}"
    get_logger().info("receiver.starting", listens_at=where, livemode=settings.livemode)
    serve(app, settings)


if __name__ == "__main__":
    main()
