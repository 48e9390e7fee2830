"""The command line. Source: spec/operations.md 7.

Nothing heavy is imported before it is needed: `-version` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ccserver.flags import Flags
from ccserver.version import VERSION

if TYPE_CHECKING:
    import socket

    from ccserver.archive import JobArchive
    from ccserver.auth.users import UserRepository
    from ccserver.config import Config, Keys
    from ccserver.database import Database
    from ccserver.jobs.init_db import Rebuilt

_log = logging.getLogger(__name__)

BANNER = "ccserver - streaming metric store and job monitoring for HPC clusters"
DATABASE_VERSION = 11
ARCHIVE_VERSION = 3
HTTP_PORT = 80

SWITCHES = {
    "init": "set up config.json, .env, var/, the database and an empty job archive, then exit",
    "init-db": "rebuild the job tables from the job archive (running jobs are lost)",
    "migrate-db": "create the database or bring it to the supported version, then exit",
    "revert-db": "take the database one version down, then exit",
    "force-db": "set the database version to the supported one without changing anything, then exit",
    "optimize-db": "VACUUM and ANALYZE the database, then exit",
    "sync-ldap": "synchronise accounts with LDAP once",
    "apply-tags": "run all taggers on all jobs",
    "cleanup-checkpoints": "delete or archive metric checkpoints older than the retention, then exit",
    "server": "start the server after all other actions",
    "dev": "offer the GraphQL playground and introspection",
    "logdate": "date and time in log lines",
    "gops": "write the stacks of all threads to stderr on SIGUSR1",
    "version": "print versions and exit",
}
VALUES = {
    "add-user": ("name:role[,role...]:password", "add an account"),
    "del-user": ("name", "delete an account"),
    "jwt": ("name", "print a token for an account"),
    "import-job": ("meta.json:data.json[,...]", "import jobs into archive and database"),
    "config": ("path", "configuration file (default ./config.json)"),
    "loglevel": ("level", "debug, info, warn, err or crit (default warn)"),
}


class Failure(Exception):
    """Ends the program with exit status 1 and this message."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point; leaves by SystemExit: 0 done, 1 failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["demo"]:
        from ccserver.demo import main as demo

        sys.exit(demo(arguments[1:]))
    try:
        run(flags().parse(arguments))
    except Failure as failure:
        for line in str(failure).splitlines():
            _log.error("%s", line)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        _log.critical("unexpected failure", exc_info=True)
        sys.exit(1)
    sys.exit(0)


def run(given: argparse.Namespace) -> None:
    """All actions in their published order; raises Failure."""
    if given.version:
        print(BANNER)
        print(f"Version:\t{VERSION}\nGit hash:\t-\nBuild time:\t-")
        print(f"SQL db version:\t{DATABASE_VERSION}\nJob archive version:\t{ARCHIVE_VERSION}")
        return
    from ccserver.config.logs import set_up_logging

    set_up_logging(given.loglevel or os.environ.get("LOGLEVEL") or "warn", given.logdate)
    if given.init:
        _init()
        return
    if given.gops:
        _dump_stacks_on_signal()
    config, keys = _configuration(Path(given.config or "./config.json"))
    if given.migrate_db:
        _migrate(config)
        return
    if given.revert_db:
        _revert(config)
        return
    if given.force_db:
        _force(config)
        return
    if given.cleanup_checkpoints:
        _clean_up(config)
        return
    with _Opened(config) as opened:
        if given.optimize_db:
            _optimize(config)
            return
        _change_accounts(given, config, keys, opened.users)
        if given.init_db:
            _rebuild(config, opened)
        if given.import_job:
            _import_jobs(given.import_job, config, opened)
        if given.apply_tags:
            _apply_tags(config, opened)
        if not given.server:
            print("No errors, server flag not set. Exiting.")
            return
        _serve(config, keys, opened, given.dev)


def flags() -> Flags:
    """All flags of the program."""
    epilog = "ccserver demo [...] runs the whole system with simulated data"
    return Flags("ccserver", BANNER, SWITCHES, VALUES, epilog)


def _configuration(path: Path) -> tuple[Config, Keys]:
    from ccserver.config import ConfigError, DotenvError, load, read_dotenv, read_keys

    if not path.exists():
        raise Failure(f"{path}: there is no such file; change to the installation, or set one up with -init")
    try:
        if not Path(".env").exists():
            _log.info("no file .env, only the environment counts")
        os.environ.update(read_dotenv(Path(".env"), os.environ))
        return load(path, os.environ), read_keys(os.environ)
    except (ConfigError, DotenvError) as error:
        raise Failure(str(error)) from None


def _migrate(config: Config) -> None:
    from ccserver.database.versions import DatabaseVersionError, migrate

    try:
        version = migrate(config.main.db, progress=lambda step: print(f"applying {step.name}", flush=True))
    except (DatabaseVersionError, OSError) as error:
        raise Failure(str(error)) from None
    print(f"Database {config.main.db}: version {version}")


def _revert(config: Config) -> None:
    from ccserver.database.versions import DatabaseVersionError, revert

    try:
        version = revert(config.main.db)
    except (DatabaseVersionError, OSError) as error:
        raise Failure(f"-revert-db: {error}") from None
    print(f"Database {config.main.db}: version {version}")


def _clean_up(config: Config) -> None:
    from ccserver.archive import ArchiveError
    from ccserver.clusters import Clusters
    from ccserver.clusters.cluster import ClusterConfigError
    from ccserver.config import ConfigError
    from ccserver.opening import open_archive
    from ccserver.process import clean_up, store_options
    from ccstore import MetricStore

    if config.metric_store is None:
        raise Failure("-cleanup-checkpoints: there is no section metric-store")
    try:
        clusters = Clusters.from_documents(open_archive(config).cluster_documents())
        store = MetricStore(clusters.store_metrics(), store_options(config.metric_store))
        print(clean_up(store, config.metric_store.directory))
    except (ArchiveError, ClusterConfigError, ConfigError, OSError) as error:
        raise Failure(f"-cleanup-checkpoints: {error}") from None


def _force(config: Config) -> None:
    from ccserver.database.versions import DatabaseVersionError, force_version

    try:
        force_version(config.main.db)
    except (DatabaseVersionError, OSError) as error:
        raise Failure(str(error)) from None
    print(f"Database {config.main.db}: version set to {DATABASE_VERSION}")


def _optimize(config: Config) -> None:
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(config.main.db, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            connection.execute("ANALYZE")
    except sqlite3.Error as error:
        raise Failure(f"-optimize-db: {config.main.db}: {error}") from None
    print(f"Database {config.main.db}: optimized")


class _Opened:
    """Database and, when first asked for, archive; closed at the end."""

    def __init__(self, config: Config) -> None:
        from ccserver.auth.users import UserRepository
        from ccserver.config import ConfigError
        from ccserver.database.versions import DatabaseVersionError
        from ccserver.opening import open_site_database

        try:
            self.database: Database = open_site_database(config)
        except (DatabaseVersionError, ConfigError) as error:
            raise Failure(str(error)) from None
        self.users: UserRepository = UserRepository(self.database)
        self._config = config

    def archive(self) -> JobArchive:
        from ccserver.archive import ArchiveError
        from ccserver.config import ConfigError
        from ccserver.opening import open_archive

        try:
            return open_archive(self._config)
        except (ArchiveError, ConfigError, OSError) as error:
            raise Failure(str(error)) from None

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()


def _change_accounts(flags: argparse.Namespace, config: Config, keys: Keys, users: UserRepository) -> None:
    if (flags.add_user or flags.del_user) and config.main.disable_authentication:
        raise Failure("accounts cannot be changed while authentication is switched off")
    if flags.add_user:
        _add_user(flags.add_user, users)
    if flags.del_user:
        users.delete(flags.del_user)
        print(f"User {flags.del_user} deleted")
    if flags.sync_ldap:
        _synchronise(config, keys, users)
    if flags.jwt:
        _print_token(flags.jwt, config, keys, users)


def _add_user(specification: str, users: UserRepository) -> None:
    from ccserver.auth.users import UserError

    parts = specification.split(":", 2)
    if len(parts) != 3 or not parts[0]:
        raise Failure("-add-user: expected name:role[,role...]:password")
    name, roles, password = parts
    try:
        users.add(name, [role for role in roles.split(",") if role], password)
    except UserError as error:
        raise Failure(f"-add-user: {error}") from None
    print(f"User {name} added")


def _synchronise(config: Config, keys: Keys, users: UserRepository) -> None:
    if config.auth.ldap is None:
        raise Failure("-sync-ldap: the configuration has no section auth.ldap")
    from ccserver.auth.ldap import DirectoryError, synchronise_directory
    from ccserver.opening import build_directory

    try:
        report = synchronise_directory(build_directory(config.auth.ldap, keys), config.auth.ldap, users)
    except DirectoryError as error:
        raise Failure(f"-sync-ldap: {error}") from None
    print(f"LDAP synchronised: {report.created} accounts created, {report.deleted} deleted")


def _print_token(name: str, config: Config, keys: Keys, users: UserRepository) -> None:
    from ccserver.opening import build_issuer

    account = users.get(name)
    if account is None:
        raise Failure(f"-jwt: unknown user {name!r}")
    issuer = build_issuer(config, keys)
    if issuer is None:
        raise Failure("-jwt: needs JWT_PRIVATE_KEY in the environment and the section auth.jwts")
    if "api" not in account.roles:
        _log.warning("user %r lacks the role api: the token opens no programming interface", name)
    print(f"JWT: token for user {name}: {issuer.issue(account)}")


def _rebuild(config: Config, opened: _Opened) -> None:
    from ccserver.archive import ArchiveError
    from ccserver.clusters import ClusterConfigError
    from ccserver.jobs.init_db import rebuild
    from ccserver.metricdata import MetricData
    from ccserver.opening import open_clusters

    archive = opened.archive()
    began = time.monotonic()
    try:
        clusters = open_clusters(config, archive)
        footprints = MetricData(clusters, None, archive)
        with _progress(archive) as show:
            result = rebuild(opened.database, archive, clusters, footprints, show, source=str(archive))
    except (ArchiveError, ClusterConfigError) as error:
        raise Failure(f"-init-db: {error}") from None
    kept = f" ({result.kept} by an interrupted run)" if result.kept else ""
    print(
        f"Database rebuilt from {archive}: {result.jobs + result.kept} jobs{kept}, "
        f"{result.failed} skipped, {time.monotonic() - began:.1f} s"
    )


def _apply_tags(config: Config, opened: _Opened) -> None:
    from ccserver.archive import ArchiveError
    from ccserver.clusters import ClusterConfigError
    from ccserver.jobs.lifecycle import JobLifeCycle
    from ccserver.jobs.repository import JobRepository
    from ccserver.jobs.tags import TagRepository
    from ccserver.metricdata import MetricData
    from ccserver.opening import build_taggers, open_clusters

    archive = opened.archive()
    try:
        clusters = open_clusters(config, archive)
    except (ArchiveError, ClusterConfigError) as error:
        raise Failure(f"-apply-tags: {error}") from None
    jobs, tags = JobRepository(opened.database), TagRepository(opened.database, archive)
    life_cycle = JobLifeCycle(jobs, tags, clusters, MetricData(clusters, None, archive), archive)
    taggers = build_taggers(jobs, tags, clusters, archive, life_cycle.set_metadata)
    for tagger in taggers.states():
        print(f"{tagger.name}: {taggers.run(tagger.name)} jobs looked at")


@contextmanager
def _progress(archive: JobArchive) -> Iterator[Callable[[Rebuilt], None]]:
    """Shows how far a rebuild is: a bar on a terminal, else a line per hundred jobs."""
    if not sys.stdout.isatty():
        yield lambda so_far: print(f"{so_far.jobs + so_far.kept} jobs inserted...", flush=True)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("counting jobs", total=None)
        bar.update(task, total=archive.count(), description="inserting jobs")
        yield lambda so_far: bar.update(task, completed=so_far.jobs + so_far.kept + so_far.failed)


def _import_jobs(argument: str, config: Config, opened: _Opened) -> None:
    from ccserver.archive import ArchiveError
    from ccserver.clusters import ClusterConfigError
    from ccserver.jobs.importing import ImportRefused, import_pair, pairs_of
    from ccserver.metricdata import MetricData
    from ccserver.opening import open_clusters

    archive = opened.archive()
    try:
        pairs = pairs_of(argument)
        clusters = open_clusters(config, archive)
        footprints = MetricData(clusters, None, archive)
        for pair in pairs:
            job = import_pair(
                pair, opened.database, archive, clusters, footprints, validate=config.main.validate
            )
            print(f"Job {job.job_id} of cluster {job.cluster} imported: id {job.id}")
    except (ImportRefused, ArchiveError, ClusterConfigError) as error:
        raise Failure(f"-import-job: {error}") from None


def _serve(config: Config, keys: Keys, opened: _Opened, development: bool) -> None:
    from ccserver.archive import ArchiveError
    from ccserver.clusters.cluster import ClusterConfigError
    from ccserver.config import ConfigError
    from ccserver.rest.sockets import AddressInUse, bind

    archive = opened.archive()
    try:
        sockets = bind(config.main.host, config.main.port)
    except AddressInUse as error:
        raise Failure(str(error)) from None
    redirecting = _bind_redirect(config)
    from ccstore.claim import DirectoryInUse

    try:
        from ccserver.app import run_server  # takes a while; whoever connects meanwhile waits

        run_server(config, keys, opened.database, archive, sockets, redirecting, development=development)
    except (ConfigError, ArchiveError, ClusterConfigError, DirectoryInUse) as error:
        raise Failure(str(error)) from None
    finally:
        for listener in (*sockets, *redirecting):
            listener.close()
    print("Graceful shutdown completed!")


def _bind_redirect(config: Config) -> list[socket.socket]:
    """Port 80 for those who forget the s of https; doing without is no reason not to start."""
    from ccserver.rest.sockets import AddressInUse, bind

    if not config.main.redirect_http_to or config.main.port == HTTP_PORT:
        return []
    try:
        return bind(config.main.host, HTTP_PORT)
    except AddressInUse as error:
        _log.error("/main/redirect-http-to: %s", error)
        return []


def _dump_stacks_on_signal() -> None:
    import faulthandler
    import signal

    faulthandler.register(signal.SIGUSR1, all_threads=True)


def _init() -> None:
    from ccserver.config.keys import new_key_lines

    variable = Path("var")
    if variable.exists():
        print("The folder ./var exists already: nothing was written.")
        return
    import json

    from ccserver.archive import FileArchive
    from ccserver.database.versions import migrate

    variable.mkdir()
    Path("config.json").write_text(json.dumps(_FIRST_CONFIG, indent=2) + "\n", encoding="utf-8")
    descriptor = os.open(".env", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(["# Keys of this installation; keep them secret.", *new_key_lines()]) + "\n")
    migrate(Path("var/job.db"))
    archive = Path("var/job-archive")
    archive.mkdir()
    FileArchive(archive).open()
    print("Set up config.json, .env, var/job.db and an empty job archive in var/job-archive.")
    print("Review config.json and .env, put <cluster>/cluster.json into var/job-archive.")
    print("Then start with -server.")


_FIRST_CONFIG = {
    "main": {
        "addr": "127.0.0.1:8080",
        "short-running-jobs-duration": 300,
        "resampling": {"minimum-points": 600, "trigger": 300, "resolutions": [240, 60]},
        "api-allowed-ips": ["*"],
        "emission-constant": 317,
    },
    "cron": {"commit-job-worker": "1m", "duration-worker": "5m", "footprint-worker": "10m"},
    "archive": {"kind": "file", "path": "./var/job-archive"},
    "auth": {"jwts": {"max-age": "2000h"}},
    "metric-store": {"retention-in-memory": "48h", "memory-cap": 100},
}


if __name__ == "__main__":
    main()
