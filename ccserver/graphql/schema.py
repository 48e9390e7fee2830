"""The schema: which root fields exist and who resolves them. `python -m ccserver.graphql.schema` prints it."""

from __future__ import annotations

import strawberry
from graphql import GraphQLSchema
from strawberry import ID
from strawberry.schema.config import StrawberryConfig

from ccserver.graphql import outputs, resolvers, scalars
from ccserver.graphql.job_output import Job, JobResultList


@strawberry.type
class Query:
    clusters: list[outputs.Cluster] = strawberry.field(resolver=resolvers.clusters.clusters)
    tags: list[outputs.Tag] = strawberry.field(resolver=resolvers.tags.tags)
    global_metrics: list[outputs.GlobalMetricListItem] = strawberry.field(
        resolver=resolvers.clusters.global_metrics
    )
    user: outputs.User | None = strawberry.field(resolver=resolvers.accounts.user)
    allocated_nodes: list[outputs.Count] = strawberry.field(resolver=resolvers.nodes.allocated_nodes)
    node: outputs.Node | None = strawberry.field(resolver=resolvers.nodes.node)
    nodes: outputs.NodeStateResultList = strawberry.field(resolver=resolvers.nodes.nodes)
    nodes_with_meta: outputs.NodeStateResultList = strawberry.field(resolver=resolvers.nodes.nodes_with_meta)
    node_states: list[outputs.NodeStates] = strawberry.field(resolver=resolvers.nodes.node_states)
    node_states_timed: list[outputs.NodeStatesTimed] = strawberry.field(
        resolver=resolvers.nodes.node_states_timed
    )
    job: Job | None = strawberry.field(resolver=resolvers.jobs.job)
    job_metrics: list[outputs.JobMetricWithName] = strawberry.field(
        resolver=resolvers.job_metrics.job_metrics
    )
    job_stats: list[outputs.NamedStats] = strawberry.field(resolver=resolvers.job_metrics.job_stats)
    scoped_job_stats: list[outputs.NamedStatsWithScope] = strawberry.field(
        resolver=resolvers.job_metrics.scoped_job_stats
    )
    jobs: JobResultList = strawberry.field(resolver=resolvers.jobs.jobs)
    jobs_statistics: list[outputs.JobsStatistics] = strawberry.field(
        resolver=resolvers.statistics.jobs_statistics
    )
    jobs_metric_stats: list[outputs.JobStats] = strawberry.field(
        resolver=resolvers.job_metrics.jobs_metric_stats
    )
    jobs_footprints: outputs.Footprints | None = strawberry.field(resolver=resolvers.analysis.jobs_footprints)
    roofline_heatmap: list[list[float]] = strawberry.field(resolver=resolvers.analysis.roofline_heatmap)
    node_metrics: list[outputs.NodeMetrics] = strawberry.field(resolver=resolvers.node_metrics.node_metrics)
    node_metrics_list: outputs.NodesResultList = strawberry.field(
        resolver=resolvers.node_metrics.node_metrics_list
    )
    cluster_metrics: outputs.ClusterMetrics = strawberry.field(
        resolver=resolvers.node_metrics.cluster_metrics
    )


@strawberry.type
class Mutation:
    create_tag: outputs.Tag = strawberry.field(resolver=resolvers.tags.create_tag)
    delete_tag: ID = strawberry.field(resolver=resolvers.tags.delete_tag)
    add_tags_to_job: list[outputs.Tag] = strawberry.field(resolver=resolvers.tags.add_tags_to_job)
    remove_tags_from_job: list[outputs.Tag] = strawberry.field(resolver=resolvers.tags.remove_tags_from_job)
    remove_tag_from_list: list[int] = strawberry.field(resolver=resolvers.tags.remove_tag_from_list)
    update_configuration: str | None = strawberry.field(resolver=resolvers.accounts.update_configuration)


def _build() -> strawberry.Schema:
    scalars.loosen_built_in_scalars()
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        types=[outputs.IntRangeOutput, outputs.TimeRangeOutput],
        config=StrawberryConfig(scalar_map=scalars.SCALARS),
    )


schema = _build()
core_schema: GraphQLSchema = schema._schema
"""What the GraphQL library executes; strawberry offers no public name for it."""

if __name__ == "__main__":
    print(schema.as_str())
