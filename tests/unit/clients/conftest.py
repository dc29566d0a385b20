"""Web servers that publish client ID metadata documents."""

from tests.unit.guard.conftest import documents, resolve, trust

__all__ = ["documents", "resolve", "trust"]
