"""The metric store as a server of its own: what the program `ccstore` runs."""

from ccserver.standalone.command import main

__all__ = ["main"]
