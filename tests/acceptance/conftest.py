"""What acceptance checks share with the tests of the parts."""

from tests.store.conftest import testc

__all__ = ["testc"]
