"""Everything a transport may use, gathered once: `app.py` builds it, handlers and resolvers receive it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccserver.auth.users import UserError, decoded_setting
from ccserver.pseudonyms import PLAIN, Names, PseudonymBook

if TYPE_CHECKING:
    from ccserver.archive import JobArchive
    from ccserver.auth.users import UserRepository
    from ccserver.clusters import Clusters
    from ccserver.config import Config
    from ccserver.database import Database
    from ccserver.jobs.lifecycle import JobLifeCycle
    from ccserver.jobs.repository import JobRepository
    from ccserver.jobs.taggers import Taggers
    from ccserver.jobs.tags import TagRepository
    from ccserver.metricdata import MetricData
    from ccserver.model.user import Principal
    from ccserver.nodes import NodeRepository
    from ccstore import MetricStore

_MOST_DEFAULTS = 1000  # settings; whoever changes them is nobody in particular


@dataclass(frozen=True, slots=True)
class Site:
    """The services of one running server; all of them synchronous and safe to call from any thread."""

    config: Config
    database: Database
    clusters: Clusters
    archive: JobArchive
    store: MetricStore | None
    metric_data: MetricData
    jobs: JobRepository
    tags: TagRepository
    users: UserRepository
    nodes: NodeRepository
    life_cycle: JobLifeCycle
    taggers: Taggers
    _pseudonyms: PseudonymBook = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pseudonyms", PseudonymBook(self.database, self.clusters))

    def names(self, viewer: Principal | None) -> Names:
        """How names are shown to the viewer."""
        return PLAIN if viewer is None else self._pseudonyms.of(viewer.presentation)

    def store_setting(self, username: str, key: str, value: str) -> None:
        """One setting of a user as JSON text; raises UserError.

        Without authentication there is nobody to keep it for: the defaults change until the process ends.
        """
        if not self.config.main.disable_authentication:
            self.users.set_configuration(username, key, value)
            return
        defaults, decoded = self.config.ui.defaults, decoded_setting(key, value)
        if key not in defaults and len(defaults) >= _MOST_DEFAULTS:
            raise UserError(f"setting {key!r}: there are too many already")
        defaults[key] = decoded
