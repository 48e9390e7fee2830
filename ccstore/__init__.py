"""An embeddable in-memory store for node metrics."""
