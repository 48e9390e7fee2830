"""What arrives over NATS: samples, job events, node states."""

from ccserver.broker.bridge import Bridge, BridgeCounters, Feed, metric_feeds

__all__ = ["Bridge", "BridgeCounters", "Feed", "metric_feeds"]
