"""The Postgres that holds everything: connections, the embedded server, schema and migrations, roles, the audit log."""
