"""What a search might mean while it is typed: jobs, people, projects and so on. Source: spec/web-ui.md 9.6.

Everything is looked up with the rights of the caller: what is not visible is not suggested.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from urllib.parse import quote, urlencode

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.jobs.filters import InvisibleJobs, JobFilter, Order, StringInput, TimeRange
from ccserver.model.job import Job
from ccserver.model.strict import INT64, TEXT
from ccserver.model.user import ROLES, Principal
from ccserver.pseudonyms import Kind, Names, Pseudonyms
from ccserver.rest.answers import HttpError, json_answer
from ccserver.rest.parsing import integer
from ccserver.rest.table import Operation, Parameter, Route, described, listed
from ccserver.rest.web import Call
from ccserver.site import Site

_SHORTEST = 2  # characters; fewer fit nearly everything
_LONGEST = 100
_MOST = 20
_OF_A_KIND = 5
_NEWEST = Order("startTime", "col", "DESC")
_RECENT = TimeRange(range="last30d")
_MANAGER, _SUPPORT = ROLES.index("manager"), ROLES.index("support")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`sub` says in small letters what the label means; `href` is a page of this site."""

    kind: str
    label: str
    sub: str
    href: str


async def suggest(call: Call) -> Response:
    text = request.args.get("q", "").strip()[:_LONGEST]
    limit = integer(request.args.get("limit", str(_MOST)), "limit must be a number from 1 on")
    if limit < 1:
        raise HttpError(400, "limit must be a number from 1 on")
    if len(text) < _SHORTEST:
        return json_answer([])
    found = await call.run(_found, call.site, call.principal, text, min(limit, _MOST))
    return json_answer([asdict(one) for one in found])


def _found(site: Site, viewer: Principal, text: str, limit: int) -> list[Suggestion]:
    sources = [_jobs, _projects, _tags]
    level = viewer.level if viewer.level < len(ROLES) else 0
    if level >= _MANAGER:
        sources.insert(1, _users)
    if level >= _SUPPORT:
        sources.append(_nodes)
    try:
        return [one for source in sources for one in islice(source(site, viewer, text), _OF_A_KIND)][:limit]
    except InvisibleJobs:
        return []


def _jobs(site: Site, viewer: Principal, text: str) -> Iterator[Suggestion]:
    names = site.names(viewer)
    if text.isascii() and text.isdigit():
        exact = JobFilter(job_id=StringInput(eq=text))
        starting = JobFilter(job_id=StringInput(starts_with=text), start_time=_RECENT)
        wanted = [exact, starting]
    else:
        wanted = names.filters([JobFilter(job_name=StringInput(contains=text), start_time=_RECENT)])
    known: set[int] = set()
    for one in wanted:
        for job in site.jobs.list([one], viewer, _NEWEST, 1, _OF_A_KIND, with_metadata=True):
            if job.id not in known:
                known.add(job.id)
                yield Suggestion("job", str(job.job_id), _about(names.job(job)), f"/monitoring/job/{job.id}")


def _about(job: Job) -> str:
    name = (job.metadata or {}).get("jobName", "")
    return ", ".join(part for part in (name, job.user, job.cluster, job.state) if part)


def _users(site: Site, viewer: Principal, text: str) -> Iterator[Suggestion]:
    names = site.names(viewer)
    for account in _accounts(site, names, text):
        visible = viewer.sees_all_jobs or site.jobs.count(
            [JobFilter(user=StringInput(eq=account.username))], viewer
        )
        if visible:
            username = names.shown(Kind.USER, account.username)
            href = "/monitoring/user/" + quote(username, safe="")
            yield Suggestion("user", username, names.shown(Kind.NAME, account.name), href)


def _accounts(site: Site, names: Names, text: str) -> Iterable[Principal]:
    if isinstance(names, Pseudonyms):
        return site.users.get_many(names.like(Kind.USER, lambda shown: text.lower() in shown)).values()
    return site.users.find_like(text, _MOST)


def _projects(site: Site, viewer: Principal, text: str) -> Iterator[Suggestion]:
    names = site.names(viewer)
    for project in _known_projects(site, viewer, names, text):
        query = urlencode({"project": project, "projectMatch": "eq"})
        yield Suggestion("project", project, "its jobs", f"/monitoring/jobs/?{query}")


def _known_projects(site: Site, viewer: Principal, names: Names, text: str) -> Iterable[str]:
    if not isinstance(names, Pseudonyms):
        return site.jobs.projects_like(text, viewer, _OF_A_KIND)
    found = names.like(Kind.PROJECT, lambda shown: text.lower() in shown)
    return (names.shown(Kind.PROJECT, one) for one in found if site.jobs.project_exists(one, viewer))


def _tags(site: Site, viewer: Principal, text: str) -> Iterator[Suggestion]:
    for tag in site.tags.list(viewer):
        if text.lower() in f"{tag.type}: {tag.name}".lower():
            href = f"/monitoring/jobs/?tag={tag.id}"
            yield Suggestion("tag", f"{tag.type}: {tag.name}", "jobs that carry it", href)


def _nodes(site: Site, viewer: Principal, text: str) -> Iterator[Suggestion]:
    names = site.names(viewer)
    for cluster in site.clusters.by_name.values():
        for subcluster in cluster.subclusters.values():
            for host in (names.shown(Kind.HOST, one) for one in subcluster.nodes.expand()):
                if text.lower() in host.lower():
                    href = f"/monitoring/node/{quote(cluster.name, safe='')}/{quote(host, safe='')}"
                    yield Suggestion("node", host, f"{cluster.name} {subcluster.name}", href)


_SUGGESTION = described(
    "Suggestion",
    {
        "kind": {"enum": ["job", "user", "project", "tag", "node"]},
        "label": TEXT,
        "sub": TEXT,
        "href": TEXT,
    },
)
_SUGGEST = Operation(
    "What a search might mean; only what the caller may see",
    {200: listed(_SUGGESTION)},
    {400: "the limit is no number from 1 on"},
    query=(
        Parameter("q", f"what was typed; nothing is suggested below {_SHORTEST} characters", required=True),
        Parameter("limit", f"at most so many, {_MOST} at the most", {**INT64, "minimum": 1}),
    ),
)

ROUTES = (Route("/frontend/suggest", "GET", Group.FRONTEND, suggest, _SUGGEST, presentable=True),)
