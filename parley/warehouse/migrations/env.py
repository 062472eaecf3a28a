"""What Alembic runs: on the connection of `parley.warehouse.migrate`, inside its transaction."""

from alembic import context

from parley.warehouse.schema import OPS, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=OPS,
    include_schemas=True,
)
context.run_migrations()
