"""config.json, .env and keys: read once, checked completely, frozen afterwards."""

from ccserver.config.dotenv import DotenvError, read_dotenv
from ccserver.config.errors import ConfigError
from ccserver.config.keys import Keys, read_keys
from ccserver.config.loading import load
from ccserver.config.sections import (
    Archive,
    Auth,
    Config,
    Cron,
    DatabaseOptions,
    Jwts,
    Main,
    MetricStoreSection,
    Nats,
    Resampling,
    Subscription,
    Ui,
)

__all__ = [
    "Archive",
    "Auth",
    "Config",
    "ConfigError",
    "Cron",
    "DatabaseOptions",
    "DotenvError",
    "Jwts",
    "Keys",
    "Main",
    "MetricStoreSection",
    "Nats",
    "Resampling",
    "Subscription",
    "Ui",
    "load",
    "read_dotenv",
    "read_keys",
]
