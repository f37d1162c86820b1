"""How Alembic runs the migrations: on the connection that `Database.migrate` opened.

It refuses to know URLs.
"""

from alembic import context

from registry.store.columns import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
