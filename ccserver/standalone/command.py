"""The command line of the stand-alone store. Source: spec/metric-store.md 12."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ccserver.flags import Flags
from ccserver.version import VERSION

if TYPE_CHECKING:
    from ccserver.standalone.config import StandaloneConfig

_log = logging.getLogger(__name__)

BANNER = "ccstore - streaming metric store for HPC clusters"
SWITCHES = {
    "cleanup-checkpoints": "archive or delete checkpoints older than the retention, then exit",
    "dev": "accepted, without effect",
    "logdate": "date and time in log lines",
    "version": "print the version and exit",
}
VALUES = {
    "config": ("path", "configuration file (default ./config.json)"),
    "import-checkpoints": ("directory", "take over checkpoints of cc-metric-store, then exit"),
    "loglevel": ("level", "debug, info, warn, err or crit (default warn)"),
}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point; leaves by SystemExit: 0 done, 1 failed, 2 wrong usage."""
    from ccserver.config.errors import ConfigError

    arguments = sys.argv[1:] if argv is None else argv
    try:
        if arguments and arguments[0] == "size":
            from ccserver.standalone.size import main as print_sizes

            print_sizes(arguments[1:])
        else:
            _run(Flags("ccstore", BANNER, SWITCHES, VALUES).parse(arguments))
    except (ConfigError, OSError) as error:
        for line in str(error).splitlines():
            _log.error("%s", line)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        _log.critical("unexpected failure", exc_info=True)
        sys.exit(1)
    sys.exit(0)


def _run(flags: argparse.Namespace) -> None:
    """Raises ConfigError and OSError."""
    if flags.version:
        print(f"{BANNER}\nVersion:\t{VERSION}")
        return
    from ccserver.config.logs import set_up_logging
    from ccserver.standalone.config import load

    set_up_logging(flags.loglevel or "warn", flags.logdate)
    config = load(Path(flags.config or "./config.json"))
    if flags.import_checkpoints:
        _import(config, Path(flags.import_checkpoints))
    elif flags.cleanup_checkpoints:
        _clean_up(config)
    else:
        _serve(config)


def _import(config: StandaloneConfig, directory: Path) -> None:
    from ccserver.standalone.server import open_store

    store = open_store(config)
    store.restore()
    report = store.import_checkpoints(directory)
    store.close()
    print(
        f"{directory}: {report.samples} samples of {report.hosts} hosts imported "
        f"({report.files} files, {report.damaged} of them damaged)"
    )


def _clean_up(config: StandaloneConfig) -> None:
    from ccserver.process import clean_up
    from ccserver.standalone.server import open_store

    print(clean_up(open_store(config), config.store.directory))


def _serve(config: StandaloneConfig) -> None:
    from ccserver.rest.sockets import bind

    sockets = bind(config.host, config.port)
    try:
        from ccserver.standalone.server import run_server  # takes a while; who connects meanwhile waits

        run_server(config, sockets)
    finally:
        for listener in sockets:
            listener.close()
    print("Graceful shutdown completed!")


if __name__ == "__main__":
    main()
