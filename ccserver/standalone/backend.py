"""Which hosts run jobs, asked from the backend: retention spares them.

Source: spec/metric-store.md 3.5, 12.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence

_PATIENCE = 10.0  # seconds
_LARGEST = 64 * 1024 * 1024  # bytes


class Backend:
    """`used_nodes` blocks; it is called by the thread that tidies the store."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def used_nodes(self, before: int) -> Mapping[str, Sequence[str]]:
        """Hosts by cluster of running jobs that began before then; raises OSError and ValueError."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        # The operator's own configuration names the address; other schemes than these are refused.
        if not self._url.startswith(("http://", "https://")):
            raise ValueError(f"main.backend-url: {self._url!r} is no address of a web server")
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}/api/jobs/used_nodes?ts={before}", headers=headers
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
            return _hosts(json.loads(answer.read(_LARGEST)))


def _hosts(document: object) -> Mapping[str, Sequence[str]]:
    """The map, bare or below "usedNodes"; raises ValueError when it is none."""
    found = document.get("usedNodes", document) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise ValueError("the backend's list of used nodes is no map of clusters")
    hosts: dict[str, Sequence[str]] = {}
    for cluster, names in found.items():
        if names is not None and not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
            raise ValueError(f"the backend's list of used nodes of {cluster!r} is no list of names")
        hosts[cluster] = names or ()
    return hosts
