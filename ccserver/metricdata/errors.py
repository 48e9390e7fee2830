"""Errors of metric data."""

from __future__ import annotations


class MetricDataError(Exception):
    """No metric data could be had at all; the message names metric and host, or the job."""
