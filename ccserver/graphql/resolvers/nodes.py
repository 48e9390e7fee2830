from __future__ import annotations

from strawberry import ID, UNSET, Info

from ccserver.graphql.inputs import NodeFilter, OrderByInput


def allocated_nodes(info: Info, cluster: str) -> object:
    raise NotImplementedError


def node(info: Info, id: ID) -> object:
    raise NotImplementedError


def nodes(info: Info, filter: list[NodeFilter] | None = UNSET, order: OrderByInput | None = UNSET) -> object:
    raise NotImplementedError


def nodes_with_meta(
    info: Info, filter: list[NodeFilter] | None = UNSET, order: OrderByInput | None = UNSET
) -> object:
    raise NotImplementedError


def node_states(info: Info, filter: list[NodeFilter] | None = UNSET) -> object:
    raise NotImplementedError


def node_states_timed(info: Info, type: str, filter: list[NodeFilter] | None = UNSET) -> object:
    raise NotImplementedError
