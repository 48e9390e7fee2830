"""Keeps the stored duration of running jobs roughly right, which filters and short-job counts use."""

from __future__ import annotations

from ccserver.jobs.repository import JobRepository


def update_durations(jobs: JobRepository) -> int:
    """Store now - start for all running jobs; returns how many there are."""
    return jobs.update_durations()
