"""Runs every benchmark of this folder, or those named: `python -m benchmarks [name ...]`."""

from __future__ import annotations

import os
import platform
import runpy
import sys
import time
from pathlib import Path


def names() -> list[str]:
    folder = Path(__file__).parent
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def machine() -> str:
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    python, today = platform.python_version(), time.strftime("%Y-%m-%d")
    return f"{model}, {os.cpu_count()} processors, Python {python}, {today}"


def main(wanted: list[str]) -> int:
    known = names()
    if unknown := sorted(set(wanted) - set(known)):
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(machine())
    for name in wanted or known:
        print(f"\n== {name}", flush=True)
        sys.argv = [name]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
