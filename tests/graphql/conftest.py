"""The site that the GraphQL tests ask."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ccserver.archive import FileArchive
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.config import Config, Main, Resampling
from ccserver.database import Database, DatabaseOptions, migrate, open_database
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.taggers import Taggers
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import Tag
from ccserver.nodes.repository import NodeRepository
from ccserver.site import Site
from ccstore import MetricStore, StoreOptions
from tests.graphql.graphql_world import (
    CLUSTER,
    HEALTH,
    JOBS,
    NOW,
    REPORTS,
    ROLES,
    World,
    archived_data,
    lines,
)


def clock() -> float:
    return NOW


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive and the database, to be copied."""
    folder = tmp_path_factory.mktemp("graphql")
    (folder / "archive" / "tc").mkdir(parents=True)
    (folder / "archive" / "tc" / "cluster.json").write_text(json.dumps(CLUSTER))
    (folder / "archive" / "version.txt").write_text("3\n")
    migrate(folder / "job.db")
    site = open_site(folder, None)
    for name, roles in ROLES.items():
        if name != "carol":  # known to the scheduler only
            site.users.add(name, roles, name=f"{name.capitalize()} A.", email=f"{name}@example.org")
    stored = {one.job_id: replace(one, id=site.jobs.insert_started(one)) for one in JOBS}
    for one in JOBS:
        if not one.running:
            site.archive.import_job(one, archived_data(one))
    site.tags.attach(stored[1005], [Tag("app", "md", "global"), Tag("state", "odd", "admin")], None)
    site.tags.attach(stored[1001], [Tag("mine", "best", "alice")], None)
    site.nodes.record_states("tc", REPORTS, HEALTH)
    site.database.close()
    return folder


@pytest.fixture(scope="session")
def store() -> MetricStore:
    """Holds the last hour; nobody writes to it afterwards."""
    clusters = Clusters.from_documents({"tc": CLUSTER})
    store = MetricStore(clusters.store_metrics(), StoreOptions(directory=None), clock)
    report = store.write(lines())
    assert report.stored == report.lines
    return store


@pytest.fixture
def world(tmp_path: Path, furnished: Path, store: MetricStore) -> Iterator[World]:
    shutil.copytree(furnished, tmp_path / "site")
    site = open_site(tmp_path / "site", store)
    yield World(site)
    site.database.close()


def open_site(folder: Path, store: MetricStore | None) -> Site:
    archive = FileArchive(folder / "archive")
    archive.open()
    clusters = Clusters.from_documents(archive.cluster_documents())
    database: Database = open_database(folder / "job.db", DatabaseOptions(cache_size_mb=8))
    return Site(
        config=Config(main=Main(resampling=Resampling(resolutions=(600, 60)))),
        database=database,
        clusters=clusters,
        archive=archive,
        store=store,
        metric_data=MetricData(clusters, store, archive, clock=clock),
        jobs=JobRepository(database, clock=clock),
        tags=TagRepository(database, archive),
        users=UserRepository(database),
        nodes=NodeRepository(database, clusters, clock=clock),
        life_cycle=None,  # type: ignore[arg-type]
        taggers=Taggers(JobRepository(database), []),
    )
