"""Everything a transport may use, gathered once: `app.py` builds it, handlers and resolvers receive it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccserver.archive import JobArchive
    from ccserver.auth.users import UserRepository
    from ccserver.clusters import Clusters
    from ccserver.config import Config
    from ccserver.database import Database
    from ccserver.jobs.lifecycle import JobLifeCycle
    from ccserver.jobs.repository import JobRepository
    from ccserver.jobs.taggers import Taggers
    from ccserver.jobs.tags import TagRepository
    from ccserver.metricdata import MetricData
    from ccserver.nodes import NodeRepository
    from ccstore import MetricStore


@dataclass(frozen=True, slots=True)
class Site:
    """The services of one running server; all of them synchronous and safe to call from any thread."""

    config: Config
    database: Database
    clusters: Clusters
    archive: JobArchive
    store: MetricStore | None
    metric_data: MetricData
    jobs: JobRepository
    tags: TagRepository
    users: UserRepository
    nodes: NodeRepository
    life_cycle: JobLifeCycle
    taggers: Taggers
