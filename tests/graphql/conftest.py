"""The site that the GraphQL tests ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from graphql_world import CLUSTER, HEALTH, JOBS, NOW, REPORTS, ROLES, World, archived_data

from ccserver.archive import FileArchive
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.config import Config, Main, Resampling
from ccserver.database import DatabaseOptions, migrate, open_database
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import Tag
from ccserver.nodes.repository import NodeRepository
from ccserver.site import Site


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "archive" / "tc").mkdir(parents=True)
    (tmp_path / "archive" / "tc" / "cluster.json").write_text(json.dumps(CLUSTER))
    (tmp_path / "archive" / "version.txt").write_text("3\n")
    archive = FileArchive(tmp_path / "archive")
    archive.open()
    clusters = Clusters.from_documents(archive.cluster_documents())
    migrate(tmp_path / "job.db")
    database = open_database(tmp_path / "job.db", DatabaseOptions(cache_size_mb=8))

    def clock() -> float:
        return NOW

    users = UserRepository(database)
    for name, roles in ROLES.items():
        if name != "carol":  # known to the scheduler only
            users.add(name, roles, name=f"{name.capitalize()} A.", email=f"{name}@example.org")
    jobs = JobRepository(database, clock=clock)
    stored = {one.job_id: replace(one, id=jobs.insert_started(one)) for one in JOBS}
    for one in JOBS:
        if not one.running:
            archive.import_job(one, archived_data(one))
    tags = TagRepository(database, archive)
    tags.attach(stored[1005], [Tag("app", "md", "global"), Tag("state", "odd", "admin")], None)
    tags.attach(stored[1001], [Tag("mine", "best", "alice")], None)
    nodes = NodeRepository(database, clusters, clock=clock)
    nodes.record_states("tc", REPORTS, HEALTH)
    site = Site(
        config=Config(main=Main(resampling=Resampling(resolutions=(600, 60)))),
        database=database,
        clusters=clusters,
        archive=archive,
        store=None,
        metric_data=MetricData(clusters, None, archive, clock=clock),
        jobs=jobs,
        tags=tags,
        users=users,
        nodes=nodes,
        life_cycle=None,  # type: ignore[arg-type]
    )
    yield World(site)
    database.close()
