"""`python -m api`: the API as a process."""

import sys

from api.app import build_app
from api.operations import PREFIX
from api.server import serve
from payouts.error_reports import open_troubles
from payouts.errors import PayoutsError
from payouts.logs import configure_logging, get_logger
from payouts.settings import load_settings


def main() -> None:
    try:
        settings = load_settings()
        troubles = open_troubles(settings, "api")
        app = build_app(settings, troubles)
    except PayoutsError as error:
        sys.exit(f"payouts api: {error}")
    configure_logging(settings.log_level, settings.log_format, troubles.note)
    where = f"http://{settings.api_host}:{settings.api_port}{PREFIX}"
    get_logger().info("api.starting", listens_at=where)
    serve(app, settings)


if __name__ == "__main__":
    main()
