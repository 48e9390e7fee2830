"""The one kind of trouble the demo ends with."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on; the message is for the person who started it."""
