"""Our schemas: what they find, and that they judge as the schemas of the reference do."""

from __future__ import annotations

import copy
import gzip
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from ccserver.archive.schemas import Kind, problems, problems_of, schema
from tests.clusters.documents import demo as cluster_document

META: dict[str, Any] = {
    "jobId": 1, "user": "alice", "project": "p", "cluster": "c", "subCluster": "s", "numNodes": 1,
    "shared": "none", "jobState": "completed", "startTime": 1700000000, "duration": 60,
    "resources": [{"hostname": "n1"}], "metaData": {"jobName": "x"},
    "tags": [{"type": "app", "name": "vasp"}],
    "statistics": {
        name: {"unit": {"base": ""}, "avg": 1, "min": 0, "max": 2}
        for name in ("cpu_user", "cpu_load", "mem_used", "flops_any", "mem_bw")
    },
}  # fmt: skip


def job_metric() -> dict[str, Any]:
    series = {"hostname": "n1", "statistics": {"avg": 1, "min": 0, "max": 2}, "data": [1, None, 2.5]}
    curve = [0.5, 1, 1.5]
    return {
        "unit": {"base": "B/s", "prefix": "G"},
        "timestep": 60,
        "series": [series],
        "statisticsSeries": {"min": curve, "median": curve, "max": curve, "percentiles": {"25": curve}},
    }


def data() -> dict[str, Any]:
    names = ("cpu_user", "cpu_load", "mem_used", "flops_any", "mem_bw", "net_bw")
    filesystem = {"name": "home", "type": "nfs"} | {
        n: {"node": job_metric()} for n in ("read_bw", "write_bw")
    }
    return {name: {"node": job_metric()} for name in names} | {"filesystems": [filesystem]}


DOCUMENTS: dict[Kind, dict[str, Any]] = {"meta": META, "data": data(), "cluster": cluster_document()}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_perfect_document_has_no_problems(kind: Kind) -> None:
    assert problems_of(kind, DOCUMENTS[kind]) == []
    jsonschema.Draft202012Validator.check_schema(schema(kind))


def test_a_problem_names_its_place() -> None:
    document = copy.deepcopy(META)
    document["resources"].append({"hostname": 5})
    document["statistics"]["mem_bw"]["unit"]["base"] = "Flops/s"
    found = problems_of("meta", document)
    assert any(one.startswith("/resources/1/hostname: 5 is not of type 'string'") for one in found)
    assert any(one.startswith("/statistics/mem_bw/unit/base: 'Flops/s' is not one of") for one in found)


def test_what_is_no_json_is_a_problem() -> None:
    assert problems("meta", b"{")[0].startswith("not JSON")
    assert problems("meta", b"[" * 100_000)[0].startswith("not JSON")


def test_long_values_are_cut_and_their_number_is_bounded() -> None:
    document = data()
    document["mem_bw"]["node"]["series"] = [{"hostname": "n" * 5000}] * 50
    found = problems_of("data", document)
    assert len(found) == 20
    assert max(map(len, found)) < 400


def test_empty_texts_of_copied_configurations_are_accepted() -> None:
    document = cluster_document()
    document["metricConfig"][0] |= {"energy": "", "aggregation": "", "footprint": ""}
    assert problems_of("cluster", document) == []


# ---- against the reference's schemas


@pytest.fixture(scope="module")
def reference(fixtures: Path) -> dict[Kind, jsonschema.Draft202012Validator]:
    documents = [json.loads(path.read_bytes()) for path in (fixtures / "schemas").glob("*.json")]
    for document in documents:
        document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    registry: Registry[Any] = Registry().with_resources(
        (document["$id"], Resource.from_contents(document)) for document in documents
    )

    def validator(name: str) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator({"$ref": f"embedfs://{name}.schema.json"}, registry=registry)

    return {"cluster": validator("cluster"), "meta": validator("job-meta"), "data": validator("job-data")}


def changed(document: Any, chance: random.Random) -> Any:
    """The document with one thing in it removed or replaced."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict | list):
            for key in value if isinstance(value, dict) else range(len(value)):
                places.append((value, key))
                walk(value[key])

    result = copy.deepcopy(document)
    walk(result)
    owner, key = chance.choice(places)
    if chance.random() < 0.4:
        del owner[key]
    else:
        owner[key] = chance.choice(
            [None, -1, 0, 1.5, "x", "node", True, [], [1], [1, 2, 3], {}, {"base": "W"}]
        )
    return result


def well_formed(document: dict[str, Any]) -> bool:
    filesystems = [one for one in document.get("filesystems") or () if isinstance(one, dict)]
    metrics = [value for name, value in document.items() if name != "filesystems"]
    metrics += [one[name] for one in filesystems for name in ("read_bw", "write_bw") if name in one]
    return all(isinstance(metric, dict) for metric in metrics)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_they_judge_as_the_reference_does(
    kind: Kind, reference: dict[Kind, jsonschema.Draft202012Validator]
) -> None:
    chance = random.Random(4)
    judged = {True: 0, False: 0}
    for _ in range(400):
        document = changed(DOCUMENTS[kind], chance)
        if kind == "data" and not well_formed(document):
            continue  # the reference lets anything pass for a metric that is no object
        expected = reference[kind].is_valid(document)
        assert (problems_of(kind, document) == []) is expected, document
        judged[expected] += 1
    assert min(judged.values()) > 20


@pytest.mark.parametrize(
    ("kind", "name", "valid"),
    [
        ("cluster", "job-archive/emmy/cluster.json", True),
        ("cluster", "importer/cluster-fritz.json", True),
        ("cluster", "job-archive/fritz/cluster.json", False),
        ("cluster", "cluster/cluster-tinygpu.json", False),
        ("meta", "job-archive/emmy/1403/244/1608923076/meta.json", False),
        ("data", "job-archive/emmy/1403/244/1608923076/data.json.gz", False),
    ],
)
def test_real_documents(fixtures: Path, kind: Kind, name: str, valid: bool) -> None:
    raw = (fixtures / name).read_bytes()
    raw = gzip.decompress(raw) if name.endswith(".gz") else raw
    assert (problems(kind, raw) == []) is valid
