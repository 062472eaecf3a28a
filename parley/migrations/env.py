"""What Alembic runs: on the connection that `parley.migrate` gives it, inside that connection's transaction."""

from alembic import context

from parley.schema import OPS, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=OPS,
    include_schemas=True,
)
context.run_migrations()
