"""Alembic runs this file: the migrations, in the transaction of whoever asked for them."""

from alembic import context

from daemon.store.migrating import VERSION_TABLE
from daemon.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
