"""Databases for gateways that tests start: each its own, randomly named, and gone afterwards.

One is migrated per session, the others are copies of it: on SQLite of the file, on PostgreSQL by CREATE DATABASE … TEMPLATE.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support import postgresql

KIND = os.environ.get("TEST_DATABASE", "sqlite")
"""Which database this run of the tests is about: `sqlite` or `postgresql`."""

if KIND not in ("sqlite", "postgresql"):
    raise ValueError(f"TEST_DATABASE is {KIND!r}: write sqlite or postgresql.")


def server_url() -> str:
    """The PostgreSQL server to make databases on. Raises LookupError when none is there."""
    url = postgresql.running()
    if url is None:
        raise LookupError("No PostgreSQL server answers: set TEST_DATABASE_URL, or use `make test`, which starts one.")
    return url


def connections_of_other_threads() -> int:
    """How many connections of this process's own pool are in the hands of another thread than this; 0 where there is no pool."""
    from django.db import connection

    counts = [pool.get_stats() for pool in getattr(connection, "_connection_pools", {}).values()]
    out = sum(count.get("pool_size", 0) - count.get("pool_available", 0) for count in counts)
    return out - (connection.connection is not None) if counts else 0


@contextlib.contextmanager
def fresh(folder: Path, template: str = "") -> Iterator[str]:
    """A new database until the block ends, as a DATABASE_URL: empty, or a copy of the database with the URL `template`."""
    name = f"gateway_test_{secrets.token_hex(6)}"
    if KIND == "sqlite":
        path = folder / f"{name}.sqlite3"
        if template:
            shutil.copyfile(_sqlite_path(template), path)  # at rest: whoever wrote it has closed it, and SQLite then folds in its log
        yield f"sqlite:///{path}"
        return
    server = server_url()
    _execute(server, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_name(template) or "template0")))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def dump(url: str) -> str:
    """Everything that a database holds, as text: to look for what must not be there."""
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(_sqlite_path(url))) as connection:
            return "\n".join(connection.iterdump())
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [row for (table,) in tables for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))]
    return "\n".join(map(str, rows))


def count(url: str, table: str, column: str, value: str) -> int:
    """How many rows of a table have this value."""
    return len(values(url, table, column, column, value))


def values(url: str, table: str, wanted: str, column: str, value: str) -> list[Any]:
    """One column of the rows of a table that have this value in another."""
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(_sqlite_path(url))) as connection:
            query = f"SELECT {wanted} FROM {table} WHERE {column} = ?"  # noqa: S608  (the test's own names)
            return [row[0] for row in connection.execute(query, (value,))]
    names = {"wanted": sql.Identifier(wanted), "table": sql.Identifier(table), "column": sql.Identifier(column)}
    with psycopg.connect(url) as postgres:
        found = postgres.execute(sql.SQL("SELECT {wanted} FROM {table} WHERE {column} = %s").format(**names), (value,))
        return [row[0] for row in found]


def value(url: str, table: str, wanted: str, column: str, known: str) -> Any:
    """One column of the row of a table that has this value in another."""
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(_sqlite_path(url))) as connection:
            query = f"SELECT {wanted} FROM {table} WHERE {column} = ?"  # noqa: S608  (the test's own names)
            return connection.execute(query, (known,)).fetchone()[0]
    names = {"wanted": sql.Identifier(wanted), "table": sql.Identifier(table), "column": sql.Identifier(column)}
    with psycopg.connect(url) as postgres:
        row = postgres.execute(sql.SQL("SELECT {wanted} FROM {table} WHERE {column} = %s").format(**names), (known,)).fetchone()
        assert row is not None
        return row[0]


def run(url: str, statement: str) -> None:
    """Changes something behind a running gateway's back."""
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(_sqlite_path(url), isolation_level=None, timeout=30)) as connection:
            connection.execute(statement)
        return
    with psycopg.connect(url, autocommit=True) as postgres:
        postgres.execute(statement.encode())


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def _sqlite_path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _execute(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)
