"""Machine code is used again only while no source that went into it has changed."""

from __future__ import annotations

import ast
from pathlib import Path

import ccstore.kernels
from ccstore.kernels import compiling

FOLDER = Path(ccstore.kernels.__file__).parent


def test_a_kernel_depends_on_the_modules_it_calls() -> None:
    found = compiling.sources("ingest")
    assert {"ingest", "grammar", "lookup", "numbers", "raster", "layout", "compiling"} <= set(found)
    assert "reading" not in found
    assert found["raster"] == (FOLDER / "raster.py").read_bytes()


def test_both_forms_of_import_are_seen() -> None:
    source = b"""
from ccstore.kernels import layout, lookup
from ccstore.kernels.raster import (
    nominal,
    store,
)
import numpy as np
"""
    assert compiling.imports(source) == ["layout", "lookup", "raster"]


def test_no_import_of_any_kernel_is_missed() -> None:
    for path in FOLDER.glob("*.py"):
        source = path.read_bytes()
        wanted = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ccstore.kernels"):
                wanted |= {alias.name for alias in node.names} | {str(node.module).rpartition(".")[2]}
        modules = {name for name in wanted if (FOLDER / f"{name}.py").exists()}
        assert modules <= set(compiling.imports(source)), path


def test_a_changed_callee_gives_another_directory(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = compiling.cache_of.__wrapped__("ingest")
    unrelated = compiling.cache_of.__wrapped__("reading")
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: read(path) + (b"\n# changed" if path.name == "grammar.py" else b"")
    )
    assert compiling.cache_of.__wrapped__("ingest") != before
    assert compiling.cache_of.__wrapped__("reading") == unrelated
