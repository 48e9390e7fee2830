"""Presentation mode for GraphQL: one function around every resolver. Source: spec/web-ui.md 9.20.

What comes in carries pseudonyms and is turned back, what goes out is turned into them. Every field and
argument that holds text is listed here; one that is not, is withheld or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    get_named_type,
)

from ccserver.clusters.nodelist import expand_hosts
from ccserver.database.conditions import StringInput
from ccserver.graphql.node_texts import NodeTexts
from ccserver.graphql.scalars import AnyValue
from ccserver.pseudonyms import Kind, Pseudonyms

TEXTS = ("String", "ID", "Any")
"""Scalars that can hold a name."""

Resolver = Callable[..., Any]
Change = Callable[[Pseudonyms, Any, dict[str, Any]], Any]


def around(names: Pseudonyms) -> Callable[..., Any]:
    """The function to put around resolvers for a session with these names."""

    def resolve(following: Resolver, source: Any, info: Any, **sent: Any) -> Any:
        parent, field = info.parent_type, info.field_name
        if field.startswith("__") or parent.name.startswith("__"):
            return following(source, info, **sent)
        place = f"{parent.name}.{field}"
        if place == "Mutation.updateConfiguration":
            return None  # a setting may hold pseudonyms, which mean nothing after this session
        definition = parent.fields[field]
        arguments = {
            name: _taken(names, f"{place}.{name}", definition.args[name].type, value)
            for name, value in sent.items()
        }
        value = following(source, info, **arguments)
        if place in CHANGED:
            return None if value is None else CHANGED[place](names, value, {**arguments, "": source})
        if place not in SAFE and get_named_type(definition.type).name in TEXTS:
            raise GraphQLError(f"{place} is withheld in presentation mode")
        return value

    return resolve


def _taken(names: Pseudonyms, place: str, type_: Any, value: Any) -> Any:
    """An argument, or a member of one, as the resolver takes it."""
    if value is None:
        return None
    if isinstance(type_, GraphQLNonNull):
        return _taken(names, place, type_.of_type, value)
    if place in TAKEN:
        return TAKEN[place](names, value)
    if isinstance(type_, GraphQLList):
        return [_taken(names, place, type_.of_type, one) for one in value]
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: _taken(names, f"{type_.name}.{name}", type_.fields[name].type, one)
            for name, one in value.items()
        }
    if isinstance(type_, GraphQLScalarType) and type_.name in TEXTS and place not in SAFE_TAKEN:
        raise GraphQLError(f"{place} is not taken in presentation mode")
    return value


def _places(table: str) -> frozenset[str]:
    """`Type: field field` a line as `Type.field`."""
    lines = (line.split(":") for line in table.strip().splitlines())
    return frozenset(f"{type_.strip()}.{name}" for type_, names in lines for name in names.split())


def _condition(kind: Kind) -> Callable[[Pseudonyms, Any], Any]:
    def take(names: Pseudonyms, sent: dict[str, Any]) -> dict[str, Any]:
        wanted = StringInput(
            sent.get("eq"),
            sent.get("neq"),
            sent.get("contains"),
            sent.get("startsWith"),
            sent.get("endsWith"),
            sent.get("in"),
        )
        found = names.condition(kind, wanted)
        assert found is not None
        members = {"eq": found.eq, "neq": found.neq, "in": found.in_}
        return {name: value for name, value in members.items() if value is not None}

    return take


def _name(kind: Kind) -> Callable[[Pseudonyms, Any], Any]:
    return lambda names, sent: (
        [names.real(kind, one) for one in sent] if isinstance(sent, list) else names.real(kind, sent)
    )


def _scope(names: Pseudonyms, sent: str) -> str:
    return sent if sent in ("global", "admin") else names.real(Kind.USER, sent)


TAKEN: dict[str, Callable[[Pseudonyms, Any], Any]] = {
    "JobFilter.user": _condition(Kind.USER),
    "JobFilter.project": _condition(Kind.PROJECT),
    "JobFilter.jobName": _condition(Kind.JOB_NAME),
    "JobFilter.node": _condition(Kind.HOST),
    "NodeFilter.hostname": _condition(Kind.HOST),
    "Query.user.username": _name(Kind.USER),
    "Query.nodeMetrics.nodes": _name(Kind.HOST),
    "Query.nodeJobs.host": _name(Kind.HOST),
    "Query.nodeEvents.host": _name(Kind.HOST),
    "Mutation.createTag.scope": _scope,
}
"""Arguments and members of input types that hold names."""

SAFE_TAKEN = _places(
    """
    JobFilter: dbId schedule shared tags tagsNot
    MetricStatItem: metricName
    Mutation.addTagsToJob: job tagIds
    Mutation.addTagsToJobs: tagIds
    Mutation.createTag: name type
    Mutation.deleteTag: id
    Mutation.removeTagFromList: tagIds
    Mutation.removeTagsFromJob: job tagIds
    Mutation.removeTagsFromJobs: tagIds
    Mutation.updateConfiguration: name value
    OrderByInput: field type
    Query.allocatedNodes: cluster
    Query.clusterMetrics: cluster metrics
    Query.footprintTrend: metrics
    Query.freeResources: cluster
    Query.job: id
    Query.jobMetricGrid: id metric
    Query.jobMetrics: id metrics
    Query.jobStats: id metrics
    Query.jobsFootprints: metrics
    Query.jobsMetricStats: metrics
    Query.jobsStatistics: metrics numDurationBins
    Query.node: id
    Query.nodeEvents: cluster
    Query.nodeJobs: cluster
    Query.nodeMetrics: cluster metrics
    Query.nodeMetricsList: cluster metrics nodeFilter stateFilter subCluster
    Query.nodeStatesTimed: type
    Query.scopedJobStats: id metrics
    Query.similarJobs: by id
    StringInput: contains endsWith eq in neq startsWith
    TimeRange: range
    """
)
"""Those that hold none. Who reads `nodeFilter` looks at what is shown; the members of StringInput are those
of conditions on something else."""


def _shown(kind: Kind) -> Change:
    return lambda names, value, _: names.shown(kind, value)


def _groups(names: Pseudonyms, groups: Any, arguments: dict[str, Any]) -> Any:
    kind = {"USER": Kind.USER, "PROJECT": Kind.PROJECT}.get(getattr(arguments.get("groupBy"), "name", ""))
    if kind is None:
        return groups
    return [
        replace(one, id=names.shown(kind, one.id), name=names.shown(Kind.NAME, one.name)) for one in groups
    ]


def _node_texts(names: Pseudonyms, found: NodeTexts, _: dict[str, Any]) -> NodeTexts:
    hosts = [names.shown(Kind.HOST, host) for host in found.block.hosts]
    return replace(found, block=replace(found.block, hosts=hosts))


def _node_list(names: Pseudonyms, text: str, _: dict[str, Any]) -> str:
    return text if text == "*" else ",".join(names.shown(Kind.HOST, host) for host in expand_hosts(text))


def _grid_rows(names: Pseudonyms, rows: list[str], arguments: dict[str, Any]) -> list[str]:
    if arguments[""].scope == "node":
        return [names.shown(Kind.HOST, row) for row in rows]
    parts = [row.partition(" ") for row in rows]
    return [f"{names.shown(Kind.HOST, host)} {id}" if blank else host for host, blank, id in parts]


CHANGED: dict[str, Change] = {
    "Hint.detail": lambda names, value, _: names.scrubbed(value),
    "Hint.suggestion": lambda names, value, _: names.scrubbed(value),
    "Hint.title": lambda names, value, _: names.scrubbed(value),
    "Job.metaData": lambda names, value, _: AnyValue(names.metadata(value)),
    "Job.project": _shown(Kind.PROJECT),
    "Job.user": _shown(Kind.USER),
    "JobMetricGrid.rows": _grid_rows,
    "Node.hostname": _shown(Kind.HOST),
    "Node.metaData": lambda names, value, _: None,
    "NodeJob.hostname": _shown(Kind.HOST),
    "NodeJob.jobName": _shown(Kind.JOB_NAME),
    "NodeJob.project": _shown(Kind.PROJECT),
    "NodeJob.user": _shown(Kind.USER),
    "NodeMetrics.host": _shown(Kind.HOST),
    "Query.jobsStatistics": _groups,
    "Query.nodeMetrics": _node_texts,
    "Resource.configuration": lambda names, value, _: None,
    "Resource.hostname": _shown(Kind.HOST),
    "ScopedStats.hostname": _shown(Kind.HOST),
    "Series.hostname": _shown(Kind.HOST),
    "SubCluster.nodes": _node_list,
    "Tag.scope": lambda names, value, _: names.scope(value),
    "User.email": _shown(Kind.EMAIL),
    "User.name": _shown(Kind.NAME),
    "User.username": _shown(Kind.USER),
}
"""Fields that hold names, and what becomes of them; the source of a field is the argument ""."""

SAFE = _places(
    """
    Accelerator: id model type
    Cluster: name partitions
    ClusterMetricWithName: name
    ClusterSupport: cluster subClusters
    Count: name
    EnergyFootprintValue: hardware metric
    FootprintValue: name stat
    FootprintTrend: metric stat
    FreeResources: subCluster
    GlobalMetricListItem: footprint name
    Hint: id metric severity
    HintEvidence: unit
    Job: cluster id partition shared subCluster
    JobLink: id
    JobLinkResultList: listQuery
    JobMetricWithName: name
    JobStats: cluster jobId missing subCluster
    JobsStatistics: id name
    MetricConfig: aggregation name
    MetricFootprints: metric
    MetricHistoPoints: metric stat unit
    MetricValue: name
    Mutation: deleteTag
    NamedStats: name
    NamedStatsWithScope: name
    Node: cluster healthData id subCluster
    NodeEvent: health state
    NodeJob: accelerators shared
    NodeMetrics: metricHealth nodeState subCluster
    NodeStates: state
    NodeStatesTimed: state
    Resource: accelerators
    ScopedStats: id
    Series: id
    SubCluster: footprint name processorType
    SubClusterConfig: name
    Tag: id name type
    TimeRangeOutput: range
    Unit: base prefix
    """
)
"""Fields of text without names."""
