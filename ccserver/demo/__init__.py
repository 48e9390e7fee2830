"""The demo: a client of the public interfaces that shows everything with live data, `ccserver demo`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Runs the demo with these command line arguments; returns the exit code."""
    try:
        from ccserver.demo.command import main as run
    except ModuleNotFoundError as error:
        if error.name != "psutil":
            raise
        print("demo: its packages are not installed; run `pip install 'ccserver[demo]'`", file=sys.stderr)
        return 1
    return run(argv)
