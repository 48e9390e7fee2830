"""One module per part of the schema; every resolver is a plain function that runs in the request's thread."""

from ccserver.graphql.resolvers import (
    accounts,
    analysis,
    clusters,
    job_metrics,
    jobs,
    node_metrics,
    nodes,
    statistics,
    tags,
)

__all__ = [
    "accounts",
    "analysis",
    "clusters",
    "job_metrics",
    "jobs",
    "node_metrics",
    "nodes",
    "statistics",
    "tags",
]
