"""`python -m console.web`: the console as a process."""

import sys

from console.web.app import build_app
from console.web.server import address_of, serve
from payouts.error_reports import open_troubles
from payouts.errors import PayoutsError
from payouts.logs import configure_logging, get_logger
from payouts.settings import load_settings


def main() -> None:
    try:
        settings = load_settings()
        troubles = open_troubles(settings, "console")
        app = build_app(settings, troubles)
    except PayoutsError as error:
        sys.exit(f"payouts console: {error}")
    configure_logging(settings.log_level, settings.log_format, troubles.note)
    get_logger().info("console.starting", listens_at=address_of(settings))
    serve(app, settings)


if __name__ == "__main__":
    main()
