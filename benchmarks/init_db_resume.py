"""`ccserver -init-db` over 100,000 jobs, killed half way, and started again; beside it an undisturbed run.

Both databases must hold the same jobs: the count and a checksum over all columns but the row number are
compared. Writing the archive takes about two minutes.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import orjson

from benchmarks.job_archive import cluster, data, job
from ccserver.archive import FileArchive, encode_meta, pack_data

JOBS = int(os.environ.get("CC_BENCH_JOBS_ARCHIVED", "100000"))


def fill(root: Path) -> None:
    """Written without syncing: this is not what is measured."""
    archive = FileArchive(root)
    archive.open()
    archive.store_cluster("bench", orjson.dumps(cluster()))
    name, packed = pack_data(data(1, 30))
    for number in range(JOBS):
        one = job(number, 1, 30)
        place = root / "bench" / str(one.job_id // 1000) / f"{one.job_id % 1000:03}" / str(one.start_time)
        place.mkdir(parents=True)
        (place / "meta.json").write_bytes(encode_meta(one))
        (place / name).write_bytes(packed)


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ccserver.cli", "-init-db"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Wall and processor time until the process ends."""
    begin = time.perf_counter()
    _pid, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"-init-db ended with status {status}")
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime


def count(database: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM job").fetchone()[0])
    except sqlite3.Error:  # not there yet
        return 0


def checksum(database: Path) -> str:
    digest = hashlib.sha256()
    with closing(sqlite3.connect(database)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(job)") if row[1] != "id"]
        rows = connection.execute(f"SELECT {', '.join(names)} FROM job ORDER BY cluster, job_id, start_time")
        for row in rows:
            digest.update(repr(row).encode())
    return digest.hexdigest()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [sys.executable, "-m", "ccserver.cli", "-init"], cwd=folder, check=True, capture_output=True
        )
        root, database = folder / "var" / "job-archive", folder / "var" / "job.db"
        root.mkdir(parents=True, exist_ok=True)
        fill(root)
        wall, processor = finish(start(folder))
        whole = count(database), checksum(database)
        print(
            f"undisturbed: {whole[0]} jobs, {JOBS / wall:.0f} jobs/s ({JOBS / processor:.0f} per CPU second)"
        )

        killed = start(folder)
        # The old rows disappear first, so a small count means that the new ones have begun.
        while not 0 < (stored := count(database)) < JOBS:
            time.sleep(0.05)
        while (stored := count(database)) < JOBS // 2:
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        stored = count(database)
        wall, processor = finish(start(folder))
        resumed = count(database), checksum(database)
        print(f"killed at {stored} jobs; the rest took {wall:.1f} s ({processor:.1f} s of processor time)")
        print(f"counts {'equal' if whole[0] == resumed[0] else 'DIFFER'}, "
              f"checksums {'equal' if whole[1] == resumed[1] else 'DIFFER'}")  # fmt: skip


if __name__ == "__main__":
    main()
