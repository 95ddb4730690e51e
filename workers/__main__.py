"""`python -m workers worker` and `python -m workers scheduler`: each a process."""

import sys

from sqlalchemy.exc import SQLAlchemyError

from payouts.errors import PayoutsError
from payouts.logs import configure_logging, redact
from payouts.settings import load_settings
from workers.app import run_scheduler, run_worker

ROLES = {"worker": run_worker, "scheduler": run_scheduler}


def main() -> None:
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role not in ROLES:
        sys.exit("usage: python -m workers worker|scheduler")
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        ROLES[role](settings)
    except PayoutsError as error:
        sys.exit(f"payouts {role}: {error}")
    except SQLAlchemyError as error:
        sys.exit(f"payouts {role}: the database does not answer: {redact(str(error))}")


if __name__ == "__main__":
    main()
