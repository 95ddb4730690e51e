"""Run by Alembic: takes the connection that `payouts.storage.migrate` opened, or prints SQL."""

from alembic import context

from payouts.storage.migrate import compare_type
from payouts.storage.schema import metadata

config = context.config

if context.is_offline_mode():
    context.configure(
        target_metadata=metadata,
        dialect_name=config.attributes["dialect"],
        literal_binds=True,
        output_buffer=config.output_buffer,
    )
    context.run_migrations()
else:
    connection = config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=compare_type,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True if connection.dialect.name == "sqlite" else None,
        # On SQLite one transaction for all of them, begun before the revision is read: its BEGIN IMMEDIATE is
        # what lets one upgrade in at a time.
        transaction_per_migration=connection.dialect.name != "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
