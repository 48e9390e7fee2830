"""Background work of the server, each piece a plain function that `every` or `daily` repeats."""

from ccserver.tasks.durations import update_durations
from ccserver.tasks.footprints import update_footprints
from ccserver.tasks.periodic import daily, every

__all__ = ["daily", "every", "update_durations", "update_footprints"]
