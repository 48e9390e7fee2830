"""Which hardware threads make up a socket, core or memory domain of a node.

Contract: spec/job-archive.md 6.3.

The lists hold hardware-thread ids (the operating system's processor numbers); the id of a socket, core or
memory domain is its index in the list. Real files have gaps and surplus entries, so nothing here insists on
the lists agreeing with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Accelerator:
    id: str
    type: str = ""
    model: str = ""


Groups = tuple[tuple[int, ...], ...]
_Owners = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Topology:
    """Hardware of one node. Lookups answer ascending indices; their second result, "exclusive", is true when
    the given threads own every returned component alone."""

    node: tuple[int, ...]
    socket: Groups
    memory_domain: Groups
    die: tuple[tuple[int | None, ...], ...] = ()
    core: Groups = ()
    accelerators: tuple[Accelerator, ...] = ()
    _sockets_of: _Owners = field(init=False, repr=False, compare=False)
    _cores_of: _Owners = field(init=False, repr=False, compare=False)
    _domains_of: _Owners = field(init=False, repr=False, compare=False)
    _sockets_of_core: dict[int, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    _cores_per_socket: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sockets = _owners(self.socket)
        sockets_of_core = {
            index: tuple(sorted({socket for thread in threads for socket in sockets.get(thread, ())}))
            for index, threads in enumerate(self.core)
        }
        per_socket = [0] * len(self.socket)
        for owners in sockets_of_core.values():
            for socket in owners:
                per_socket[socket] += 1
        for name, value in (
            ("_sockets_of", sockets),
            ("_cores_of", _owners(self.core)),
            ("_domains_of", _owners(self.memory_domain)),
            ("_sockets_of_core", sockets_of_core),
            ("_cores_per_socket", tuple(per_socket)),
        ):
            object.__setattr__(self, name, value)

    def sockets(self, hwthreads: Iterable[int]) -> tuple[list[int], bool]:
        return _touched(self._sockets_of, self.socket, hwthreads)

    def cores(self, hwthreads: Iterable[int]) -> tuple[list[int], bool]:
        return _touched(self._cores_of, self.core, hwthreads)

    def memory_domains(self, hwthreads: Iterable[int]) -> tuple[list[int], bool]:
        return _touched(self._domains_of, self.memory_domain, hwthreads)

    def sockets_of_cores(self, cores: Sequence[int]) -> tuple[list[int], bool]:
        """Sockets that hold any of `cores`; exclusive when all cores of each of them are listed."""
        listed: dict[int, int] = {}
        for core in cores:
            for socket in self._sockets_of_core.get(core, ()):
                listed[socket] = listed.get(socket, 0) + 1
        exclusive = all(count == self._cores_per_socket[socket] for socket, count in listed.items())
        return sorted(listed), exclusive

    def cores_of_socket(self, socket: int) -> list[int]:
        """Indices of all cores with a thread in `socket`."""
        return [core for core, owners in self._sockets_of_core.items() if socket in owners]

    def cores_of_memory_domain(self, domain: int) -> list[int]:
        """Indices of all cores with a thread in memory domain `domain`."""
        return [
            core
            for core, threads in enumerate(self.core)
            if any(domain in self._domains_of.get(thread, ()) for thread in threads)
        ]

    def socket_of_memory_domain(self, domain: int) -> int:
        """Socket of the domain's first thread; ValueError for a domain that is missing, empty or in none."""
        if not 0 <= domain < len(self.memory_domain) or not self.memory_domain[domain]:
            raise ValueError(f"memory domain {domain} is missing or empty")
        sockets = self._sockets_of.get(self.memory_domain[domain][0])
        if not sockets:
            raise ValueError(f"memory domain {domain} belongs to no socket")
        return sockets[0]

    def accelerator_id(self, index: int) -> str:
        if not 0 <= index < len(self.accelerators):
            raise ValueError(
                f"accelerator index {index} is out of range (there are {len(self.accelerators)})"
            )
        return self.accelerators[index].id

    @property
    def accelerator_ids(self) -> list[str]:
        return [accelerator.id for accelerator in self.accelerators]


def _owners(groups: Groups) -> _Owners:
    owners: dict[int, list[int]] = {}
    for index, threads in enumerate(groups):
        for thread in threads:
            indices = owners.setdefault(thread, [])
            if not indices or indices[-1] != index:
                indices.append(index)
    return {thread: tuple(indices) for thread, indices in owners.items()}


def _touched(owners: _Owners, groups: Groups, hwthreads: Iterable[int]) -> tuple[list[int], bool]:
    given = set(hwthreads)
    touched = sorted({index for thread in given for index in owners.get(thread, ())})
    return touched, all(given.issuperset(groups[index]) for index in touched)
