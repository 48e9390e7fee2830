"""Single jobs from files: what is taken, what is refused, and that nothing stays of what was refused."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ccserver.archive import ArchiveError, FileArchive
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.jobs.importing import ImportRefused, Pair, import_pair, pairs_of
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import Job

META: dict[str, Any] = {
    "jobId": 7, "user": "alice", "project": "p", "cluster": "alpha", "numNodes": 1, "jobState": "completed",
    "startTime": 1700000000, "duration": 177, "resources": [{"hostname": "a01"}],
    "tags": [{"type": "app", "name": "vasp"}, {"type": "note", "name": "odd", "scope": "alice"}],
    "statistics": {"cpu_load": {"unit": {"base": ""}, "avg": 3.5, "min": 1, "max": 4}},
}  # fmt: skip
DATA: dict[str, Any] = {
    "cpu_load": {
        "node": {
            "unit": {"base": ""},
            "timestep": 60,
            "series": [
                {"hostname": "a01", "statistics": {"avg": 3.5, "min": 1, "max": 4}, "data": [1, None, 4]}
            ],
        }
    }
}


class Importing:
    def __init__(self, folder: Path, database: Database, clusters: Clusters) -> None:
        self.folder = folder
        self.database = database
        self.clusters = clusters
        self.archive = FileArchive(folder / "archive")
        self.archive.root.mkdir()
        self.archive.open()
        self.jobs = JobRepository(database)

    def __call__(self, meta: Any = META, data: Any = DATA, *, validate: bool = False) -> Job:
        pair = Pair(self.folder / "meta.json", self.folder / "data.json")
        for path, document in ((pair.meta, meta), (pair.data, data)):
            path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        footprints = MetricData(self.clusters, None, self.archive)
        return import_pair(pair, self.database, self.archive, self.clusters, footprints, validate=validate)

    @property
    def untouched(self) -> bool:
        return self.jobs.count() == 0 and self.archive.count() == 0


@pytest.fixture
def importing(tmp_path: Path, database: Database, clusters: Clusters) -> Importing:
    return Importing(tmp_path, database, clusters)


def test_a_job_comes_into_archive_and_database(importing: Importing) -> None:
    imported = importing()
    (job,) = importing.jobs.list()
    assert (job.id, job.job_id, job.shared, job.monitoring_status) == (imported.id, 7, "none", 3)
    assert job.subcluster == "main"  # assigned, as the file has none
    assert job.footprint == {"cpu_load_avg": 3.5, "mem_used_max": 0.0}
    tags = TagRepository(importing.database).of_job(job.id)
    assert [(tag.type, tag.name, tag.scope) for tag in tags] == [
        ("app", "vasp", "global"), ("note", "odd", "alice"),
    ]  # fmt: skip
    stored = importing.archive.load_meta("alpha", 7, 1700000000)
    assert stored.footprint == job.footprint
    assert importing.archive.load_data(job)["cpu_load"]["node"].series[0].data.tolist()[::2] == [1.0, 4.0]


@pytest.mark.parametrize(
    ("meta", "data", "reason"),
    [
        ({**META, "stopTime": 5}, DATA, 'unknown field "stopTime"'),
        ({**META, "duration": "177"}, DATA, "expected an integer"),
        ({**META, "cluster": "zeta"}, DATA, "no such cluster: zeta"),
        ({**META, "jobState": "stopped"}, DATA, "not a valid job state: stopped"),
        ({**META, "numNodes": 2}, DATA, "len(resources) does not equal numNodes (1 vs 2)"),
        (b"{", DATA, "invalid JSON"),
        (META, b"[]", "data.json"),
        (META, {"cpu_load": {"node": {**DATA["cpu_load"]["node"], "peak": 1}}}, "unknown field `peak`"),
        (META, {"cpu_load": {"galaxy": DATA["cpu_load"]["node"]}}, "'galaxy' is no scope"),
        (META, {"filesystems": []}, "metric filesystems"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    importing: Importing, meta: Any, data: Any, reason: str
) -> None:
    with pytest.raises(ImportRefused) as refused:
        importing(meta, data)
    assert reason in str(refused.value)
    assert ".json: " in str(refused.value)
    assert importing.untouched


def test_a_known_job_keeps_its_archive_entry(importing: Importing) -> None:
    importing()
    before = (importing.archive.root / "alpha/0/007/1700000000/meta.json").read_bytes()
    with pytest.raises(ImportRefused, match="is in the database already"):
        importing({**META, "user": "eve"})
    assert (importing.archive.root / "alpha/0/007/1700000000/meta.json").read_bytes() == before


def test_what_the_archive_cannot_store_is_not_in_the_database(
    importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ArchiveError("no space left")

    monkeypatch.setattr(importing.archive, "import_job", full)
    with pytest.raises(ImportRefused, match="no space left"):
        importing()
    assert importing.untouched
    assert TagRepository(importing.database).list() == []


def test_validation_is_asked_for(importing: Importing) -> None:
    with pytest.raises(ImportRefused, match=r"breaks its schema: .*'subCluster' is a required property"):
        importing(validate=True)
    assert importing.untouched


def test_pairs() -> None:
    assert pairs_of("a:b,c:d") == [Pair(Path("a"), Path("b")), Pair(Path("c"), Path("d"))]
    for wrong in ("a", "a:b:c", "a:b,", ":", "a:"):
        with pytest.raises(ImportRefused, match="is not of the form"):
            pairs_of(wrong)


def test_the_golden_import(fixtures: Path, tmp_path: Path, database: Database) -> None:
    source = fixtures / "importer"
    archive = FileArchive(tmp_path / "archive")
    archive.root.mkdir()
    archive.open()
    (archive.root / "fritz").mkdir()
    shutil.copy(source / "cluster-fritz.json", archive.root / "fritz" / "cluster.json")
    clusters = Clusters.from_documents(archive.cluster_documents())
    pair = Pair(source / "meta-fritzMinimal.input", source / "data-fritzMinimal.json")
    import_pair(pair, database, archive, clusters, MetricData(clusters, None, archive))
    (job,) = JobRepository(database).list()
    golden = json.loads((source / "fritzMinimal-golden.json").read_bytes())
    assert golden == {
        "jobId": job.job_id, "cluster": job.cluster, "startTime": job.start_time, "duration": job.duration,
    }  # fmt: skip
    place = "fritz/398/764/1675954353"
    written = gzip.decompress((archive.root / place / "data.json.gz").read_bytes())
    reference = gzip.decompress((source / "written-by-reference" / place / "data.json.gz").read_bytes())
    assert written == reference
