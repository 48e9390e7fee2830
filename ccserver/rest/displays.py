"""The public dashboard's data, and the tokens that open it. Contract: spec/web-ui.md 6.14, 9.21."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson
from quart import Response

from ccserver.auth.displays import DISPLAY, DisplayError
from ccserver.auth.guards import Group
from ccserver.model.strict import INT64, TEXT
from ccserver.model.user import Principal
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.graphql import answer_of
from ccserver.rest.pages import sees_status
from ccserver.rest.table import Operation, Parameter, Route, described, listed
from ccserver.rest.web import Call

RECENT = 300  # seconds over which rates are averaged
UTILIZATION = 8 * 3600  # seconds
STATES = 4 * 3600  # seconds

_READER = Principal("wall display", frozenset({"support"}))
"""Asks on behalf of a display; what it may ask is fixed here."""

# Sums and states of nodes; nothing that names a person, a project or a job.
QUERY = """
query Display($cluster: String!, $running: [JobFilter!], $nodes: [NodeFilter!], $states: [NodeFilter!],
              $begin: Time!, $recent: Time!, $to: Time!) {
  clusters {
    name
    subClusters {
      name numberOfNodes processorType socketsPerNode coresPerSocket
      flopRateScalar { value unit { base prefix } }
      flopRateSimd { value unit { base prefix } }
      memoryBandwidth { value unit { base prefix } }
      topology { accelerators { id } }
    }
  }
  globalMetrics { name unit { base prefix } }
  jobsStatistics(filter: $running) { totalJobs totalUsers totalNodes totalCores totalAccs }
  allocatedNodes(cluster: $cluster) { name count }
  nodeStates(filter: $nodes) { state count }
  clusterMetrics(cluster: $cluster, metrics: ["flops_any", "mem_bw"], from: $begin, to: $to) {
    nodeCount metrics { name unit { base prefix } timestep data }
  }
  node: nodeStatesTimed(type: "node", filter: $states) { state counts times }
  nodeMetricsList(cluster: $cluster, subCluster: "", stateFilter: "all", nodeFilter: "", resolution: 0,
                  metrics: ["flops_any", "mem_bw", "acc_power", "cpu_power"], scopes: [node],
                  from: $recent, to: $to) {
    items { host subCluster nodeState metrics { name scope metric { timestep series { data } } } }
  }
  nodesWithMeta(filter: $nodes) { items { hostname jobsRunning } }
}
"""


async def dashboard(call: Call, cluster: str) -> Response:
    """What the public dashboard of a cluster shows, in one answer."""
    if call.principal is not DISPLAY and not sees_status(call):
        raise HttpError(403, "your account may not see this")
    if cluster not in call.site.clusters.by_name:
        raise HttpError(404, f"unknown cluster: {cluster}")
    body = orjson.dumps({"query": QUERY, "variables": _variables(cluster, int(time.time()))})
    return await answer_of(call, body, replace(_READER, presentation=call.principal.presentation))


def _variables(cluster: str, now: int) -> dict[str, Any]:
    def text(moment: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))

    where = {"cluster": {"eq": cluster}}
    return {
        "cluster": cluster,
        "running": [where, {"state": ["running"]}],
        "nodes": [where],
        "states": [{**where, "timeStart": now - STATES}],
        "begin": text(now - UTILIZATION),
        "recent": text(now - RECENT),
        "to": text(now),
    }


async def displays(call: Call) -> Response:
    shown = call.web.displays.list()
    return json_answer([{"id": one.id, "name": one.name, "created": one.created} for one in shown])


async def create(call: Call) -> Response:
    """Answers with the token, which is never told again."""
    try:
        token = await call.run(call.web.displays.create, (await call.form()).get("name", "").strip())
    except DisplayError as error:
        raise HttpError(422, str(error)) from None
    return text_answer(token, 201)


async def revoke(call: Call) -> Response:
    await call.run(call.web.displays.revoke, (await call.form()).get("id", ""))
    return text_answer("success")


ROUTES = (
    Route(
        "/frontend/display/<cluster>",
        "GET",
        Group.DISPLAY,
        dashboard,
        Operation(
            "What the public dashboard shows: sums and states, nobody's jobs",
            {200: "application/json"},
            {403: "the caller may not see the status of clusters", 404: "there is no such cluster"},
            query=(Parameter("token", "of a wall display, in place of a session"),),
        ),
        presentable=True,
    ),
    Route(
        "/config/displays/",
        "GET",
        Group.CONFIG_API,
        displays,
        Operation(
            "Tokens of wall displays that were given out",
            {200: listed(described("Display", {"id": TEXT, "name": TEXT, "created": INT64}))},
        ),
    ),
    Route(
        "/config/displays/",
        "POST",
        Group.CONFIG_API,
        create,
        Operation(
            "A new token for a wall display; it is not told again",
            {201: "text/plain"},
            {422: "the name is missing or too long, or there are too many"},
            form=(Parameter("name", "where the display hangs", required=True),),
        ),
    ),
    Route(
        "/config/displays/",
        "DELETE",
        Group.CONFIG_API,
        revoke,
        Operation(
            "Revoke a token; one that does not exist is no error",
            {200: "text/plain"},
            form=(Parameter("id", "which", required=True),),
        ),
    ),
)
