"""The one way from the event loop to the database.

The data plane's queries run here, on a small executor no larger than the connection pool: measured, 8 threads on a pool of 4 lost
queries until every job gave its connection back in `finally`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

THREADS = 8
PATIENCE_SECONDS = 5

P = ParamSpec("P")
T = TypeVar("T")

_executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="data-plane-db")


class DatabaseUnavailable(Exception):
    """The database did not answer. Never the same as "not found": an outage must not look like a sign-out."""


async def in_database(query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a blocking query off the event loop. Raises DatabaseUnavailable when the database does not answer within a few seconds.

    The thread of a query that is given up stays taken until the connection's own time-outs end it.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(_executor, lambda: _run(query, *args, **kwargs))
    except TimeoutError as error:
        raise DatabaseUnavailable("no answer in time") from error


def forget_lost_connections() -> bool:
    """Whether this thread's connection was found dead; its pool is then emptied, as a restarted server closed the others too.

    Checking each connection before its use would cost every query a round trip, and the pool's own check backs off for seconds.
    """
    lost = connection.vendor == "postgresql" and connection.connection is not None and connection.connection.closed
    if lost:
        connection.close()
        pool = getattr(connection, "pool", None)
        if pool is not None:
            pool.drain()
    return bool(lost)


def give_connection_back() -> None:
    """For a thread that is about to wait for something else than the database; its next query takes a connection again.

    A pool of 20 is soon empty when strangers decide how long each is kept. Inside a transaction nothing can be given back.
    """
    if not connection.in_atomic_block:
        connection.close()


def _run(query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        try:
            return query(*args, **kwargs)
        except (OperationalError, InterfaceError):
            if not forget_lost_connections():
                raise
            return query(*args, **kwargs)  # what runs here reads, or marks what may be marked twice
    except (DatabaseError, InterfaceError) as error:
        raise DatabaseUnavailable(type(error).__name__) from error
    finally:
        # SQLite's handle stays with its thread (opening costs more than the query); a pooled connection goes back.
        if connection.vendor != "sqlite" or connection.errors_occurred:
            connection.close()
