"""Checkpoints that cc-metric-store and cc-backend wrote. docs/format/foreign-checkpoints.md draws them."""

from ccstore.foreign.importer import Files, Importer, Marks, new_files

__all__ = ["Files", "Importer", "Marks", "new_files"]
