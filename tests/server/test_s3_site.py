"""A server whose job archive is a bucket."""

from __future__ import annotations

import io
import json
import tarfile
import time

from ccserver.archive.backends import archive_of
from ccserver.archive.manage import copy
from tests.archive.s3_server import s3_server
from tests.server.running import Server, ccserver, eventually
from tests.server.test_adapter import write_samples
from tests.server.test_import import archive_of as files_of


def test_jobs_are_archived_exported_and_registered_from_a_bucket(installation: Server) -> None:
    with s3_server() as section:
        bucket = archive_of(section)
        bucket.open()
        copy(files_of(installation), bucket, lambda so_far: None)
        installation.configure(lambda config: config.update(archive=section))
        installation.start()
        start = int(time.time()) - 600
        job = {
            "jobId": 7, "cluster": "small", "user": "ute", "project": "lab", "numNodes": 1,
            "resources": [{"hostname": "n01"}], "startTime": start,
        }  # fmt: skip
        with installation.client() as client:
            id = client.post("/api/jobs/start_job/", json=job).json()["id"]
            write_samples(client, start)
            assert client.post("/api/jobs/stop_job/", json={"jobId": 7, "stopTime": start + 600}).is_success
            eventually(lambda: client.get(f"/api/jobs/{id}").json()["Meta"]["monitoringStatus"] == 3)
            found = client.get(f"/api/jobs/{id}", params={"all-metrics": "true"}).json()
            assert 2.5 in found["Data"]["cpu_load"]["node"]["series"][0]["data"]
            exported = client.get("/api/jobs/export").content
        with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
            extracted = tar.extractfile(f"small/0/007/{start}/meta.json")
            assert extracted is not None
            assert json.load(extracted)["jobId"] == 7
        assert installation.stop() == 0
        assert "Traceback" not in installation.log
        assert [bucket.count(), bucket.load_meta("small", 7, start).job_id] == [1, 7]
        done = ccserver(installation.folder, "-init-db")
        assert "Database rebuilt from s3://jobs: 1 jobs, 0 skipped" in done.stdout
