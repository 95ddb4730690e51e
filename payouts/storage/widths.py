"""How long what comes from outside may be to fit its column, and whose the platform's own rows are.

Apart from the columns, so that reading an event, and all that starts by it, loads no SQLAlchemy.
"""

PLATFORM = "platform"
"""The `account` of what belongs to the platform itself, never NULL."""

ID_CHARS = 255
ACCOUNT_CHARS = 64
TYPE_CHARS = 128
API_VERSION_CHARS = 64
ACTOR_CHARS = 128
