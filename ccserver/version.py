"""The version of the program, as installed."""

from __future__ import annotations

from importlib import metadata

VERSION = metadata.version("ccserver")
