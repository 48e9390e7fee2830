"""The job database: tables, schema versions, connections. Contract: spec/operations.md 9."""

from ccserver.database.connection import (
    Database,
    DatabaseClosed,
    DatabaseOptions,
    Follower,
    TransactionLost,
    open_database,
)
from ccserver.database.prepared import Prepared
from ccserver.database.versions import (
    SCHEMA_VERSION,
    DatabaseVersionError,
    MigrationError,
    check_version,
    force_version,
    migrate,
    revert,
)

__all__ = [
    "SCHEMA_VERSION",
    "Database",
    "DatabaseClosed",
    "DatabaseOptions",
    "DatabaseVersionError",
    "Follower",
    "MigrationError",
    "Prepared",
    "TransactionLost",
    "check_version",
    "force_version",
    "migrate",
    "open_database",
    "revert",
]
