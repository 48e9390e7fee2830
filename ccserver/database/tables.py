"""The tables of schema version 11 as SQLAlchemy Core sees them (spec/operations.md 9.2).

The schema itself is created by the SQL files in `migrations/`; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, Text

metadata = MetaData()


def _job_columns() -> list[Column[Any]]:
    names: list[tuple[str, Any]] = [
        ("job_id", BigInteger),
        ("cluster", Text),
        ("subcluster", Text),
        ("submit_time", BigInteger),
        ("start_time", BigInteger),
        ("hpc_user", Text),
        ("project", Text),
        ("cluster_partition", Text),
        ("array_job_id", BigInteger),
        ("duration", Integer),
        ("walltime", Integer),
        ("job_state", Text),
        ("meta_data", Text),
        ("resources", Text),
        ("num_nodes", Integer),
        ("num_hwthreads", Integer),
        ("num_acc", Integer),
        ("smt", Integer),
        ("shared", Text),
        ("monitoring_status", Integer),
        ("energy", Float),
        ("energy_footprint", Text),
        ("footprint", Text),
    ]
    return [Column("id", Integer, primary_key=True), *(Column(name, kind) for name, kind in names)]


job = Table("job", metadata, *_job_columns())
job_cache = Table("job_cache", metadata, *_job_columns())

tag = Table(
    "tag",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tag_type", String(255)),
    Column("tag_name", String(255)),
    Column("insert_ts", Text),
    Column("tag_scope", Text),
)

jobtag = Table(
    "jobtag",
    metadata,
    Column("job_id", Integer, primary_key=True),
    Column("tag_id", Integer, primary_key=True),
    Column("insert_ts", Text),
)

hpc_user = Table(
    "hpc_user",
    metadata,
    Column("username", String(255), primary_key=True),
    Column("password", String(255)),
    Column("ldap", Integer),
    Column("name", String(255)),
    Column("roles", String(255)),
    Column("email", String(255)),
    Column("projects", String(255)),
)

configuration = Table(
    "configuration",
    metadata,
    Column("username", String(255), primary_key=True),
    Column("confkey", String(255), primary_key=True),
    Column("value", Text),
)

node = Table(
    "node",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hostname", String(255)),
    Column("cluster", String(255)),
    Column("subcluster", String(255)),
    Column("meta_data", Text),
)

node_state = Table(
    "node_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time_stamp", Integer),
    Column("jobs_running", Integer),
    Column("cpus_allocated", Integer),
    Column("memory_allocated", Integer),
    Column("gpus_allocated", Integer),
    Column("node_state", String(255)),
    Column("health_state", String(255)),
    Column("health_metrics", Text),
    Column("node_id", Integer),
)
