"""Web servers that publish client ID metadata documents, for the pages that speak of them."""

from tests.unit.guard.conftest import documents, patience, resolve, trust

__all__ = ["documents", "patience", "resolve", "trust"]
