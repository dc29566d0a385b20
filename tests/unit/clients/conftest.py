"""Web servers that publish client ID metadata documents."""

from tests.unit.guard.conftest import documents, patience, resolve, trust

__all__ = ["documents", "patience", "resolve", "trust"]
