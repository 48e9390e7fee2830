"""`data.json`: the metric data of a job in the archive. Contract: spec/job-archive.md 4 and 5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from ccserver.archive.errors import ArchiveError
from ccserver.archive.meta import UnitDocument, encode_unit, unit_of
from ccserver.archive.numbers import fixed, fixed_doubles, fixed_floats, text
from ccserver.model.metrics import (
    NO_STATISTICS,
    SCOPES,
    FloatArray,
    JobData,
    JobMetric,
    Series,
    Statistics,
    StatisticsSeries,
)
from ccstore.jsonarrays import split_arrays

_Numbers = list[float | None]


class _Statistics(msgspec.Struct):
    avg: float | None = None
    min: float | None = None
    max: float | None = None


class _Series(msgspec.Struct):
    hostname: str = ""
    id: str | None = None
    statistics: _Statistics | None = None
    data: _Numbers | None = None


class _StatisticsSeries(msgspec.Struct):
    min: _Numbers | None = None
    median: _Numbers | None = None
    mean: _Numbers | None = None
    max: _Numbers | None = None
    percentiles: dict[str, _Numbers | None] | None = None


class _JobMetric(msgspec.Struct, rename="camel"):
    unit: UnitDocument | None = None
    timestep: int = 0
    series: list[_Series] | None = None
    statistics_series: _StatisticsSeries | None = None


class _StrictUnit(UnitDocument, forbid_unknown_fields=True):
    pass


class _StrictStatistics(_Statistics, forbid_unknown_fields=True):
    pass


class _StrictSeries(_Series, forbid_unknown_fields=True):
    statistics: _StrictStatistics | None = None


class _StrictStatisticsSeries(_StatisticsSeries, forbid_unknown_fields=True):
    pass


class _StrictJobMetric(_JobMetric, rename="camel", forbid_unknown_fields=True):
    unit: _StrictUnit | None = None
    series: list[_StrictSeries] | None = None  # type: ignore[assignment]
    statistics_series: _StrictStatisticsSeries | None = None


_metrics = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scopes = msgspec.json.Decoder(dict[str, _JobMetric])
_strict_scopes = msgspec.json.Decoder(dict[str, _StrictJobMetric])


def decode_data(raw: bytes, *, strict: bool = False) -> JobData:
    """Reads an uncompressed `data.json`; raises ArchiveError. Arrays are float64 and read-only.

    Series without statistics get 0/0/0. Entries that are no objects (`filesystems` of old archives) are left
    out, unknown keys and scopes too; `strict` makes all three an error.
    """
    # The kernel takes the samples out; what remains is small.
    split = split_arrays(raw)
    arrays = None if split is None else split[1]
    try:
        metrics = _metrics.decode(raw if split is None else split[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"data.json: {error}") from None
    data: JobData = {}
    for name, document in metrics.items():
        if not strict and not bytes(document).startswith(b"{"):
            continue
        try:
            scopes: Mapping[str, _JobMetric] = (_strict_scopes if strict else _scopes).decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"data.json: metric {name}: {error}") from None
        if strict and (unknown := [scope for scope in scopes if scope not in SCOPES]):
            raise ArchiveError(f"data.json: metric {name}: {unknown[0]!r} is no scope")
        data[name] = {
            scope: _job_metric(metric, arrays) for scope, metric in scopes.items() if scope in SCOPES
        }
    return data


def encode_data(data: JobData) -> bytes:
    """The document as the reference writes it, byte for byte, with the trailing newline."""
    return b"".join(_encode(data))


def _encode(data: JobData) -> Iterator[bytes]:
    yield b"{"
    for position, (name, scopes) in enumerate(sorted(data.items())):
        yield f"{',' if position else ''}{text(name)}:{{".encode("utf-8", "replace")
        for inner, (scope, metric) in enumerate(sorted(scopes.items())):
            yield f"{',' if inner else ''}{text(scope)}:".encode()
            yield from _encode_job_metric(metric)
        yield b"}"
    yield b"}\n"


def _encode_job_metric(metric: JobMetric) -> Iterator[bytes]:
    yield f'{{"unit":{encode_unit(metric.unit)},"series":['.encode("utf-8", "replace")
    columns = fixed_floats([series.data for series in metric.series])
    for position, (series, column) in enumerate(zip(metric.series, columns, strict=True)):
        yield _encode_series_head(series, first=position == 0)
        yield column
        yield b"]}"
    yield f'],"timestep":{metric.timestep}'.encode()
    if metric.statistics_series is not None:
        yield b',"statisticsSeries":'
        yield _encode_statistics_series(metric.statistics_series)
    yield b"}"


def _encode_series_head(series: Series, first: bool) -> bytes:
    identity = "" if series.id is None else f',"id":{text(series.id)}'
    statistics = series.statistics or Statistics(0, 0, 0)
    return (
        f'{"" if first else ","}{{"hostname":{text(series.hostname)}{identity},"statistics":'
        f'{{"min":{fixed(statistics.min)},"avg":{fixed(statistics.avg)},"max":{fixed(statistics.max)}}},"data":['
    ).encode("utf-8", "replace")


def _encode_statistics_series(series: StatisticsSeries) -> bytes:
    curves = {"mean": series.mean, "median": series.median, "min": series.min, "max": series.max}
    fields = [f'"{name}":'.encode() + _encode_curve(curve) for name, curve in curves.items()]
    if series.percentiles:
        percentiles = b",".join(
            text(key).encode() + b":" + _encode_curve(curve)
            for key, curve in sorted(series.percentiles.items())
        )
        fields.append(b'"percentiles":{' + percentiles + b"}")
    return b"{" + b",".join(fields) + b"}"


def _encode_curve(curve: FloatArray | None) -> bytes:
    return b"null" if curve is None else b"[" + fixed_doubles(curve) + b"]"


_Arrays = list[NDArray[np.float64]]


def _job_metric(document: _JobMetric, arrays: _Arrays | None) -> JobMetric:
    return JobMetric(
        unit=unit_of(document.unit),
        timestep=document.timestep,
        series=[
            Series(series.hostname, _array(series.data, arrays), _statistics(series.statistics), series.id)
            for series in document.series or ()
        ],
        statistics_series=_statistics_series(document.statistics_series, arrays),
    )


def _statistics(document: _Statistics | None) -> Statistics:
    if document is None:
        return NO_STATISTICS
    return Statistics(document.avg or 0.0, document.min or 0.0, document.max or 0.0)


def _statistics_series(document: _StatisticsSeries | None, arrays: _Arrays | None) -> StatisticsSeries | None:
    if document is None:
        return None

    def curve(numbers: _Numbers | None) -> NDArray[np.float64] | None:
        return None if numbers is None else _array(numbers, arrays)

    percentiles: Mapping[str, _Numbers | None] = document.percentiles or {}
    return StatisticsSeries(
        min=curve(document.min),
        max=curve(document.max),
        median=curve(document.median),
        mean=curve(document.mean),
        percentiles={key: _array(numbers, arrays) for key, numbers in percentiles.items()},
    )


def _array(numbers: _Numbers | None, arrays: _Arrays | None) -> NDArray[np.float64]:
    if numbers and arrays is not None and numbers[0] is not None:
        return arrays[int(numbers[0])]
    array = np.array(numbers or (), dtype=np.float64)
    array.setflags(write=False)
    return array
