"""The demo: a client of the public interfaces that shows everything with live data, `ccserver demo`."""

from ccserver.demo.command import main

__all__ = ["main"]
