"""Settings of users who have no account; table `configuration` refuses them. They last until the server ends.

An account made on the fly would take the name from a later login by LDAP or OpenID Connect.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

MOST_USERS = 200
LARGEST = 1 << 16  # bytes of names and values as text, of one user


class PassingSettings:
    """Of the MOST_USERS users who changed one last; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: OrderedDict[str, dict[str, tuple[int, Any]]] = OrderedDict()

    def of(self, username: str) -> dict[str, Any]:
        with self._lock:
            return {key: value for key, (_, value) in self._users.get(username, {}).items()}

    def put(self, username: str, key: str, text: str, value: Any) -> bool:
        """Keep `value`, whose JSON text is `text`; False when that would be more than LARGEST."""
        with self._lock:
            known = self._users.get(username, {})
            size = len(key.encode()) + len(text.encode())
            if size + sum(other for name, (other, _) in known.items() if name != key) > LARGEST:
                return False
            known[key] = (size, value)
            self._users[username] = known
            self._users.move_to_end(username)
            if len(self._users) > MOST_USERS:
                self._users.popitem(last=False)
            return True

    def forget(self, username: str) -> None:
        with self._lock:
            self._users.pop(username, None)
