"""Opening what a configuration names; apart from `app`, so that short commands import little."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ccserver.config import Config, ConfigError, Keys
from ccserver.config.sections import Ldap

if TYPE_CHECKING:
    from ccserver.archive import JobArchive
    from ccserver.auth.ldap import Directory
    from ccserver.auth.tokens import TokenIssuer
    from ccserver.clusters import Clusters
    from ccserver.database import Database
    from ccserver.jobs.repository import JobRepository
    from ccserver.jobs.taggers import Taggers
    from ccserver.jobs.tags import TagRepository

_log = logging.getLogger(__name__)


def open_archive(config: Config) -> JobArchive:
    """The configured job archive, checked and ready; raises ConfigError or ArchiveError."""
    from ccserver.archive.backends import BackendError, archive_of

    section = {**config.archive.settings, "kind": config.archive.kind, "path": config.archive.path}
    try:
        archive = archive_of(section, validate=config.main.validate)
    except BackendError as error:
        raise ConfigError(f"/archive/{error}") from None
    archive.open()
    return archive


def open_clusters(config: Config, archive: JobArchive) -> Clusters:
    """The clusters of the archive; raises ClusterConfigError, with `main.validate` for broken schemas too."""
    from ccserver.clusters import ClusterConfigError, Clusters

    documents = archive.cluster_documents()
    if config.main.validate:
        from ccserver.archive.schemas import problems_of

        for name, document in documents.items():
            if found := problems_of("cluster", document):
                raise ClusterConfigError(f"{name}/cluster.json breaks its schema: {'; '.join(found)}")
    return Clusters.from_documents(documents)


def open_site_database(config: Config) -> Database:
    """Raises DatabaseVersionError, and ConfigError for a driver that does not exist yet."""
    from ccserver.database import DatabaseOptions, open_database

    if config.main.db_driver != "sqlite3":
        raise ConfigError(
            f"/main/db-driver: {config.main.db_driver!r} is not supported yet, only 'sqlite3' is"
        )
    given = config.main.db_options
    mebibyte = 1024 * 1024
    options = DatabaseOptions(
        cache_size_mb=given.cache_size // mebibyte,
        soft_heap_limit_mb=given.soft_heap_limit // mebibyte,
        max_open_connections=given.max_open_connections,
        max_idle_connections=given.max_idle_connections,
        busy_timeout_ms=int(given.busy_timeout * 1000),
    )
    _log.info("database %s: %s", config.main.db, options)
    return open_database(config.main.db, options)


def build_taggers(
    jobs: JobRepository,
    tags: TagRepository,
    clusters: Clusters,
    archive: JobArchive,
    set_metadata: Callable[[int, str, str], object],
) -> Taggers:
    """The automatic taggers of a site, whose rules lie at fixed places below the working directory."""
    from ccserver.jobs.jobclasses import JobClassTagger
    from ccserver.jobs.taggers import ApplicationTagger, Taggers

    return Taggers(
        jobs,
        [
            ApplicationTagger(Path("./var/tagger/apps"), jobs, tags),
            JobClassTagger(Path("./var/tagger/jobclasses"), tags, clusters, archive, set_metadata),
        ],
    )


def build_issuer(config: Config, keys: Keys) -> TokenIssuer | None:
    """None when there is no private key, or no section that says how long tokens live."""
    from ccserver.auth.tokens import TokenIssuer

    if keys.jwt_seed is None or config.auth.jwts is None:
        return None
    return TokenIssuer(keys.jwt_seed, config.auth.jwts.max_age)


def build_directory(options: Ldap, keys: Keys) -> Directory:
    """The LDAP server of section `auth.ldap`; nothing is connected yet."""
    from ccserver.auth.ldap import Directory

    if keys.ldap_password is None:
        _log.warning("LDAP_ADMIN_PASSWORD is not set: searches in the directory will probably be refused")
    return Directory(options, keys.ldap_password)
