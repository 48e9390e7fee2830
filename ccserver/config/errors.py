"""What is said when a configuration cannot be used."""

from __future__ import annotations


class ConfigError(Exception):
    """The configuration cannot be used; the message names file and JSON pointer and is one line per fault."""
