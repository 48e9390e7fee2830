"""Classification of archived jobs by rules. Contract: spec/job-archive.md 17.2."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from ccserver.clusters import Clusters
from ccserver.jobs.expression_values import is_number
from ccserver.jobs.expressions import EvaluationError, Expression, ExpressionError, compile_expression
from ccserver.jobs.hints import Hint, HintError
from ccserver.jobs.taggers import attach_missing
from ccserver.jobs.tags import TagRepository
from ccserver.jobs.watched import WatchedFolder
from ccserver.model.job import Job
from ccserver.model.rounding import round2

log = logging.getLogger(__name__)

PARAMETERS = "parameters.json"
_LIMITS = ("peak", "normal", "caution", "alert")


class _Variable(msgspec.Struct):
    name: str
    expr: str


class _Document(msgspec.Struct):
    """A rule as its file has it."""

    tag: str
    rule: str
    name: str = ""
    parameters: list[str] = []
    metrics: list[str] = []
    requirements: list[str] = []
    variables: list[_Variable] = []
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that can be applied; `parameters` with their values."""

    tag: str
    parameters: Mapping[str, Any]
    metrics: Sequence[str]
    requirements: Sequence[Expression]
    variables: Sequence[tuple[str, Expression]]
    rule: Expression
    hint: Hint

    def message(self, facts: Mapping[str, Any]) -> str | None:
        """The rendered hint when the rule fits a job, None when not. Raises EvaluationError.

        `facts`: `job` and one entry per metric.
        """
        environment = {**facts, **self.parameters}
        if any(metric not in facts for metric in self.metrics):
            return None
        if not all(requirement.holds(environment) for requirement in self.requirements):
            return None
        for name, expression in self.variables:
            value = expression.value(environment)
            if not is_number(value):
                raise EvaluationError(f"variable {name} is no number")
            environment[name] = float(value)
        return self.hint.render(_rounded(environment)) if self.rule.holds(environment) else None


class RuleError(ValueError):
    """A file holds no rule that could be applied."""


def read_rule(document: bytes, parameters: Mapping[str, Any]) -> Rule:
    """Raises RuleError."""
    try:
        given = msgspec.json.decode(document, type=_Document)
        missing = [name for name in given.parameters if name not in parameters]
        if missing or not given.tag:
            raise RuleError(f"{PARAMETERS} has no {missing[0]}" if missing else "the tag is empty")
        return Rule(
            given.tag,
            {name: parameters[name] for name in given.parameters},
            tuple(given.metrics),
            [compile_expression(text) for text in given.requirements],
            [(one.name, compile_expression(one.expr)) for one in given.variables],
            compile_expression(given.rule),
            Hint(given.hint),
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ExpressionError, HintError) as error:
        raise RuleError(str(error)) from error


class StatisticsSource(Protocol):
    """The part of a job archive that classification reads."""

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job: ...


class JobClassTagger:
    """Tags archived jobs with the rules that fit, and leaves their hints as metadata `message`.

    The folder is read again when it changes. `set_metadata(id, key, value)` stores in database and archive.
    """

    name = "JobClassTagger"
    kind: Literal["start", "stop"] = "stop"

    def __init__(
        self,
        folder: Path,
        tags: TagRepository,
        clusters: Clusters,
        archive: StatisticsSource,
        set_metadata: Callable[[int, str, str], object],
    ) -> None:
        self._parameters: dict[str, Any] = {}
        self._rules = WatchedFolder[Sequence[Rule]](folder, self._read, (), "no jobs are classified")
        self._tags = tags
        self._clusters = clusters
        self._archive = archive
        self._set_metadata = set_metadata

    def tag(self, job: Job) -> None:
        """Raises ArchiveError where the statistics of the job cannot be read."""
        rules = self._rules.current()
        if not rules:
            return
        facts = self._facts(self._archive.load_meta(job.cluster, job.job_id, job.start_time))
        messages: list[str] = []
        tags: list[str] = []
        for rule in rules:
            try:
                message = rule.message(facts)
            except EvaluationError as error:
                log.debug("job %d: rule %s: %s", job.id, rule.tag, error)
                continue
            if message is not None:
                messages.append(message)
                tags.append(rule.tag)
        if not tags:
            return
        attach_missing(self._tags, job, "jobClass", tags)
        self._set_metadata(job.id, "message", "\n".join(messages))

    def _facts(self, job: Job) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "job": {
                "shared": job.shared,
                "duration": job.duration,
                "numCores": job.num_hwthreads,
                "numNodes": job.num_nodes,
                "jobState": job.state,
                "numAcc": job.num_acc,
                "smt": job.smt,
            }
        }
        limits = self._limits(job)
        for metric, one in (job.statistics or {}).items():
            limit = limits.get(metric) or dict.fromkeys(_LIMITS, 0.0)
            facts[metric] = {"min": one.min, "max": one.max, "avg": one.avg, "limits": limit}
        return facts

    def _limits(self, job: Job) -> dict[str, dict[str, float]]:
        subcluster = self._clusters.subcluster(job.cluster, job.subcluster)
        if subcluster is None:
            return {}
        return {
            name: {limit: float(getattr(metric, limit)) for limit in _LIMITS}
            for name, metric in subcluster.metrics.items()
        }

    def _read(self, files: Sequence[Path]) -> Sequence[Rule]:
        parameters = next((path for path in files if path.name == PARAMETERS), None)
        if parameters is None:
            raise FileNotFoundError(f"there is no {PARAMETERS}")
        try:
            self._parameters.update(msgspec.json.decode(parameters.read_bytes(), type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise OSError(f"{parameters}: {error}") from error
        rules: dict[str, Rule] = {}
        for path in files:
            if path == parameters:
                continue
            try:
                rule = read_rule(path.read_bytes(), self._parameters)
            except RuleError as error:
                log.error("%s: no rule: %s", path, error)
                continue
            rules.pop(rule.tag, None)
            rules[rule.tag] = rule
        return list(rules.values())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round2(value)
    if isinstance(value, dict):
        return {key: _rounded(member) for key, member in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
