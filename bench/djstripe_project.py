"""A Django project with dj-stripe and nothing else, run by a Python that has them (see `bench/peers.py`).

`python djstripe_project.py` makes tables and an endpoint; gunicorn serves `djstripe_project:application`.
Environment: DATABASE_PORT, DATABASE_NAME, STRIPE_WEBHOOK_SECRET, STRIPE_BASE.
"""

import os
import sys
import uuid

import pymysql

pymysql.version_info = (2, 2, 7, "final", 0)  # Django asks mysqlclient for at least this
pymysql.install_as_MySQLdb()

import django  # noqa: E402 - it looks for a client of MySQL when it is imported
from django.conf import settings  # noqa: E402

ENDPOINT = uuid.UUID("11111111-1111-4111-8111-111111111111")

if not settings.configured:
    settings.configure(
        SECRET_KEY=str(uuid.uuid4()),
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="djstripe_project",
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.mysql",
                "HOST": "127.0.0.1",
                "PORT": int(os.environ["DATABASE_PORT"]),
                "USER": "root",
                "NAME": os.environ["DATABASE_NAME"],
                "CONN_MAX_AGE": 600,
                "OPTIONS": {"isolation_level": "read committed"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        STRIPE_TEST_SECRET_KEY="sk_test_" + "x" * 24,
        STRIPE_LIVE_MODE=False,
        STRIPE_API_HOST=os.environ["STRIPE_BASE"],
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    )
    django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from djstripe.views import ProcessWebhookView  # noqa: E402

urlpatterns = [path("api/webhooks/stripe", ProcessWebhookView.as_view(), {"uuid": ENDPOINT})]
application = get_wsgi_application()


def main() -> None:
    from django.core.management import call_command
    from djstripe.models import WebhookEndpoint

    call_command("migrate", verbosity=0)
    WebhookEndpoint.objects.create(
        id="we_1",
        djstripe_uuid=ENDPOINT,
        url="http://127.0.0.1/",
        secret=os.environ["STRIPE_WEBHOOK_SECRET"],
        livemode=False,
        api_version="2026-10-28.endive",
        enabled_events=["*"],
        status="enabled",
        djstripe_validation_method="verify_signature",
    )


if __name__ == "__main__":
    sys.exit(main())
