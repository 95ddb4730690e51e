"""`python -m workers worker` and `python -m workers scheduler`: each a process."""

import sys
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from payouts.error_reports import open_troubles
from payouts.errors import PayoutsError
from payouts.logs import configure_logging, redact
from payouts.settings import Settings, load_settings
from payouts.storage.presence import Role
from payouts.troubles import Troubles
from workers.app import run_scheduler, run_worker

ROLES: Mapping[Role, Callable[[Settings, Troubles], None]] = {
    "worker": run_worker,
    "scheduler": run_scheduler,
}


def main() -> None:
    role = next((role for role in ROLES if sys.argv[1:] == [role]), None)
    if role is None:
        sys.exit("usage: python -m workers worker|scheduler")
    try:
        settings = load_settings()
        troubles = open_troubles(settings, role)
        configure_logging(settings.log_level, settings.log_format, troubles.note)
        ROLES[role](settings, troubles)
    except PayoutsError as error:
        sys.exit(f"payouts {role}: {error}")
    except SQLAlchemyError as error:
        sys.exit(f"payouts {role}: the database does not answer: {redact(str(error))}")


if __name__ == "__main__":
    main()
