"""Alembic migrations, shipped inside the package and run by `infra.db.engine.migrate`."""
