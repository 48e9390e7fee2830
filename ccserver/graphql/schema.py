"""The schema: which root fields exist and who resolves them.

`python -m ccserver.graphql.schema` prints it.
"""

from __future__ import annotations

import strawberry
from graphql import GraphQLSchema
from strawberry import ID
from strawberry.schema.config import StrawberryConfig

from ccserver.graphql import outputs, resolvers, scalars
from ccserver.graphql.fields import resolved_by
from ccserver.graphql.job_output import Footprints, Job, JobResultList


@strawberry.type
class Query:
    clusters: list[outputs.Cluster] = resolved_by(resolvers.clusters.clusters)
    tags: list[outputs.Tag] = resolved_by(resolvers.tags.tags)
    global_metrics: list[outputs.GlobalMetricListItem] = resolved_by(resolvers.clusters.global_metrics)
    user: outputs.User | None = resolved_by(resolvers.accounts.user)
    allocated_nodes: list[outputs.Count] = resolved_by(resolvers.nodes.allocated_nodes)
    free_resources: list[outputs.FreeResources] = resolved_by(resolvers.nodes.free_resources)
    node: outputs.Node | None = resolved_by(resolvers.nodes.node)
    nodes: outputs.NodeStateResultList = resolved_by(resolvers.nodes.nodes)
    nodes_with_meta: outputs.NodeStateResultList = resolved_by(resolvers.nodes.nodes_with_meta)
    node_states: list[outputs.NodeStates] = resolved_by(resolvers.nodes.node_states)
    node_states_timed: list[outputs.NodeStatesTimed] = resolved_by(resolvers.nodes.node_states_timed)
    node_jobs: list[outputs.NodeJob] = resolved_by(resolvers.nodes.node_jobs)
    node_events: list[outputs.NodeEvent] = resolved_by(resolvers.nodes.node_events)
    job: Job | None = resolved_by(resolvers.jobs.job)
    job_metrics: list[outputs.JobMetricWithName] = resolved_by(resolvers.job_metrics.job_metrics)
    job_metric_grid: outputs.JobMetricGrid | None = resolved_by(resolvers.job_metrics.job_metric_grid)
    job_stats: list[outputs.NamedStats] = resolved_by(resolvers.job_metrics.job_stats)
    scoped_job_stats: list[outputs.NamedStatsWithScope] = resolved_by(resolvers.job_metrics.scoped_job_stats)
    similar_jobs: list[Job] = resolved_by(resolvers.jobs.similar_jobs)
    jobs: JobResultList = resolved_by(resolvers.jobs.jobs)
    jobs_statistics: list[outputs.JobsStatistics] = resolved_by(resolvers.statistics.jobs_statistics)
    jobs_metric_stats: list[outputs.JobStats] = resolved_by(resolvers.job_metrics.jobs_metric_stats)
    jobs_footprints: Footprints | None = resolved_by(resolvers.analysis.jobs_footprints)
    roofline_heatmap: list[list[float]] = resolved_by(resolvers.analysis.roofline_heatmap)
    footprint_trend: list[outputs.FootprintTrend] = resolved_by(resolvers.statistics.footprint_trend)
    node_metrics: list[outputs.NodeMetrics] = resolved_by(resolvers.node_metrics.node_metrics)
    node_metrics_list: outputs.NodesResultList = resolved_by(resolvers.node_metrics.node_metrics_list)
    cluster_metrics: outputs.ClusterMetrics = resolved_by(resolvers.node_metrics.cluster_metrics)


@strawberry.type
class Mutation:
    create_tag: outputs.Tag = resolved_by(resolvers.tags.create_tag)
    delete_tag: ID = resolved_by(resolvers.tags.delete_tag)
    add_tags_to_job: list[outputs.Tag] = resolved_by(resolvers.tags.add_tags_to_job)
    remove_tags_from_job: list[outputs.Tag] = resolved_by(resolvers.tags.remove_tags_from_job)
    add_tags_to_jobs: outputs.ManyTagged = resolved_by(resolvers.tags.add_tags_to_jobs)
    remove_tags_from_jobs: outputs.ManyTagged = resolved_by(resolvers.tags.remove_tags_from_jobs)
    remove_tag_from_list: list[int] = resolved_by(resolvers.tags.remove_tag_from_list)
    update_configuration: str | None = resolved_by(resolvers.accounts.update_configuration)


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
