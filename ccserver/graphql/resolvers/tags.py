from __future__ import annotations

from strawberry import ID, Info


def tags(info: Info) -> object:
    raise NotImplementedError


def create_tag(info: Info, type: str, name: str, scope: str) -> object:
    raise NotImplementedError


def delete_tag(info: Info, id: ID) -> object:
    raise NotImplementedError


def add_tags_to_job(info: Info, job: ID, tag_ids: list[ID]) -> object:
    raise NotImplementedError


def remove_tags_from_job(info: Info, job: ID, tag_ids: list[ID]) -> object:
    raise NotImplementedError


def remove_tag_from_list(info: Info, tag_ids: list[ID]) -> object:
    raise NotImplementedError
