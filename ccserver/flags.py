"""Command line flags as the programs this one replaces take them: one or two dashes, booleans with `=value`.

Source: spec/operations.md 7. Imports nothing but argparse: `-version` answers at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


class Flags:
    """Switches by name with their description, and flags with a value: its shape and description."""

    def __init__(
        self,
        program: str,
        description: str,
        switches: Mapping[str, str],
        values: Mapping[str, tuple[str, str]],
        epilog: str = "",
    ) -> None:
        self._switches = switches
        self._parser = argparse.ArgumentParser(
            prog=program, description=description, add_help=False, allow_abbrev=False, epilog=epilog
        )
        self._parser.add_argument("-h", "-help", "--help", action="help", help="show this text and exit")
        for name, text in switches.items():
            self._add(name, "true|false", text, type=_boolean, default=False)
        for name, (shape, text) in values.items():
            self._add(name, shape, text, default="")

    def _add(self, name: str, shape: str, text: str, **options: object) -> None:
        member = name.replace("-", "_")
        self._parser.add_argument(f"-{name}", f"--{name}", dest=member, metavar=shape, help=text, **options)  # type: ignore[arg-type]

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Members are named as the flags, with underscores. Wrong usage leaves with exit status 2."""
        return self._parser.parse_args([self._explicit(word) for word in arguments])

    def _explicit(self, word: str) -> str:
        """`-flag` of a switch means `-flag=true`; argparse would take the next word as its value."""
        return f"{word}=true" if word[:1] == "-" and word.lstrip("-") in self._switches else word


def _boolean(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
