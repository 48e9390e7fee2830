from __future__ import annotations

from strawberry import Info, Parent

from ccserver.model import job as model


def duration(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError


def tags(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError


def concurrent_jobs(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError


def footprint(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError


def energy_footprint(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError


def meta_data(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError


def user_data(parent: Parent[model.Job], info: Info) -> object:
    raise NotImplementedError
