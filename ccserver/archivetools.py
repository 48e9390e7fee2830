"""The commands `cc-archive-manager` and `cc-archive-migration`. Source: spec/job-archive.md 20 and 22."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ccserver.archive import ArchiveError, FileArchive, JobArchive
from ccserver.archive import manage as tools
from ccserver.archive.backends import BackendError, archive_of
from ccserver.archive.migration import check_version, meta_files, migrate_archive
from ccserver.archive.sqlite import SqliteArchive
from ccserver.config.logs import set_up_logging

if TYPE_CHECKING:
    from ccserver.archive.places import Place

_log = logging.getLogger(__name__)


def migration(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `cc-archive-migration`; leaves by SystemExit."""
    parser = _parser("cc-archive-migration", "convert a job archive of version 2 to version 3, in place")
    _option(parser, "archive", "the job archive", metavar="dir")
    _switch(parser, "dry-run", "list the files, change nothing")
    _option(parser, "workers", "how many work at once (default 4)", type=int, default=4, metavar="n")
    given = parser.parse_args(argv)
    set_up_logging(given.loglevel, given.logdate)
    if not given.archive or given.workers < 1:
        parser.print_usage(sys.stderr)
        sys.exit(1)
    root = Path(given.archive)
    try:
        check_version(root)
        if given.dry_run:
            for path in meta_files(root):
                print(path)
            sys.exit(0)
        print(f"Every meta.json below {root} will be rewritten. Make a copy of the archive before.")
        print("Are you sure you want to continue? [y/N]: ", end="", flush=True)
        if sys.stdin.readline().strip() not in ("y", "Y"):
            print("Nothing was changed.")
            sys.exit(0)
        result = migrate_archive(root, given.workers)
    except (ArchiveError, OSError) as error:
        _fail(str(error))
    print(f"{result.files} files, {result.failed} failed")
    if result.failed:
        _fail("the archive stays at version 2: correct the files named above and run this again")
    sys.exit(0)


def manager(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `cc-archive-manager`; leaves by SystemExit."""
    given = _manager_parser().parse_args(argv)
    set_up_logging(given.loglevel, given.logdate)
    try:
        sys.exit(_manage(given))
    except (ArchiveError, OSError, ValueError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; what was done stays")


def _manager_parser() -> argparse.ArgumentParser:
    parser = _parser("cc-archive-manager", "look at a job archive, check it, shorten it, copy it")
    _option(
        parser, "s", "the job archive: a directory, an SQLite file, or a section as for -src-config",
        default="./var/job-archive", metavar="archive",
    )  # fmt: skip
    _option(parser, "config", "accepted for the sake of scripts; not read", metavar="file")
    _switch(parser, "validate", "hold every job against the JSON schemas; exit status 1 if one breaks them")
    _option(parser, "remove-before", "remove jobs that started before that day, 2023-Jan-01", metavar="date")
    _option(parser, "remove-after", "remove jobs that started after that day", metavar="date")
    _option(parser, "remove-cluster", "remove a cluster with all its jobs", metavar="name")
    _switch(parser, "import", "copy all jobs of one archive into another")
    _switch(parser, "convert", "copy all jobs of an archive into Parquet files, or back")
    _option(
        parser, "format", "what -convert makes: parquet, or json for an archive", default="json",
        choices=("json", "parquet"), metavar="json|parquet",
    )  # fmt: skip
    _option(parser, "max-file-size", "MB of a Parquet file (default 512)", type=int, default=512, metavar="n")
    _option(parser, "src-config", 'where from: {"kind": "file", "path": "..."}', metavar="json")
    _option(parser, "dst-config", "where to", metavar="json")
    return parser


def _manage(given: argparse.Namespace) -> int:
    if getattr(given, "import") or given.convert:
        if not given.src_config or not given.dst_config:
            raise ValueError("-import and -convert need -src-config and -dst-config")
        if not given.convert:
            return _import(
                _backend(given.src_config, "-src-config"), _backend(given.dst_config, "-dst-config")
            )
        return _convert(given)
    archive = _looked_at(given.s)
    if given.validate:
        broken = tools.validate(archive, lambda problem: _log.error("%s", problem))
        print(f"{broken} documents break their schema" if broken else "all documents are valid")
        return 1 if broken else 0
    if given.remove_before or given.remove_after:
        before, after = (_midnight(text) if text else 0 for text in (given.remove_before, given.remove_after))
        print(f"{tools.clean(archive, before, after)} jobs removed")
        return 0
    if given.remove_cluster:
        if given.remove_cluster not in archive.clusters():
            raise ValueError(f"-remove-cluster: there is no cluster {given.remove_cluster!r}")
        archive.delete_cluster(given.remove_cluster)
        return 0
    print(tools.overview_text(tools.overview(archive)), end="")
    return 0


def _import(source: JobArchive, target: JobArchive) -> int:
    return _report(tools.copy(source, target, _show))


def _convert(given: argparse.Namespace) -> int:
    from ccserver.archive.parquet import export_parquet, import_parquet  # pyarrow takes its time to load

    if given.format == "parquet":
        if given.max_file_size < 1:
            raise ValueError("-max-file-size: must be at least 1")
        source = _backend(given.src_config, "-src-config")
        target = _place(given.dst_config, "-dst-config")
        return _report(export_parquet(source, target, given.max_file_size << 20, _show))
    files = _place(given.src_config, "-src-config")
    return _report(import_parquet(files, _backend(given.dst_config, "-dst-config"), _show))


def _show(so_far: tools.Copied) -> None:
    done = so_far.jobs + so_far.present + so_far.failed
    if done % 100 == 0:
        print(f"{done} jobs", end="\r" if sys.stdout.isatty() else "\n", flush=True)


def _report(result: tools.Copied) -> int:
    print(f"{result.jobs} jobs imported, {result.present} were there, {result.failed} failed")
    return 1 if result.failed else 0


def _looked_at(text: str) -> JobArchive:
    if text.startswith("{"):
        return _backend(text, "-s")
    archive = SqliteArchive(Path(text)) if Path(text).is_file() else FileArchive(Path(text))
    archive.open()
    return archive


def _section(text: str, flag: str) -> dict[str, Any]:
    try:
        section = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None
    if not isinstance(section, dict):
        raise ValueError(f'{flag}: write {{"kind": "file", "path": "..."}}')
    return section


def _place(text: str, flag: str) -> Place:
    from ccserver.archive.places import PlaceError, place_of

    try:
        return place_of(_section(text, flag))
    except PlaceError as error:
        raise ValueError(f"{flag}: {error}") from None


def _backend(text: str, flag: str) -> JobArchive:
    try:
        archive = archive_of(_section(text, flag))
    except BackendError as error:
        raise ValueError(f"{flag}: {error}") from None
    archive.open()
    return archive


def _midnight(text: str) -> int:
    try:
        return int(time.mktime(time.strptime(text, "%Y-%b-%d")))
    except ValueError:
        raise ValueError(f"{text!r} is no date; write 2023-Jan-01") from None


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=description, add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "-help", "--help", action="help", help="show this text and exit")
    _option(parser, "loglevel", "debug, info, warn, err or crit (default info)", default="info")
    _switch(parser, "logdate", "date and time in log lines")
    return parser


def _option(parser: argparse.ArgumentParser, name: str, text: str, **more: object) -> None:
    more.setdefault("default", "")
    destination = name.replace("-", "_")
    parser.add_argument(f"-{name}", f"--{name}", dest=destination, help=text, **more)  # type: ignore[arg-type]


def _switch(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(f"-{name}", f"--{name}", dest=name.replace("-", "_"), action="store_true", help=text)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
