"""A PostgreSQL server for the tests: the one that runs, else one of our own from what is installed, else installed now.

Our own is a cluster in a temporary folder, on a free port of this machine, without fsync: it is gone afterwards.
"""

import contextlib
import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support import machine
from tests.support.processes import free_port

_STANDARD_PORT = 5432


def running() -> str | None:
    """The URL of a server that answers and lets us make databases: that of TEST_DATABASE_URL and no other if it is set."""
    told = os.environ.get("TEST_DATABASE_URL")
    names = dict.fromkeys([getpass.getuser(), "root", "postgres"])
    candidates = [told] if told else [f"postgresql://{name}@127.0.0.1:{_STANDARD_PORT}/postgres" for name in names]
    return next((url for url in candidates if _may_create_databases(url)), None)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A server's URL until the block ends. Raises machine.Missing when there is none to be had."""
    url = running()
    if url is None and os.environ.get("TEST_DATABASE_URL"):
        raise machine.Missing("TEST_DATABASE_URL names a server that does not answer, or where databases may not be made.")
    if url is None and _programs() is None:
        machine.install("postgresql", "PostgreSQL")
        url = running()  # the package may have started one
    if url is not None:
        machine.say("PostgreSQL runs")
        yield url
        return
    programs = _programs()
    if programs is None:
        raise machine.Missing("PostgreSQL is missing although the package postgresql is installed.")
    with _own_cluster(programs) as url:
        yield url


def _may_create_databases(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            row = connection.execute("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])


def _programs() -> Path | None:
    """The folder with initdb and pg_ctl. Debian keeps it out of PATH, one per version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    return next((folder for folder in [*folders, *([Path(on_path).parent] if on_path else [])] if (folder / "initdb").exists()), None)


@contextlib.contextmanager
def _own_cluster(programs: Path) -> Iterator[str]:
    machine.say(f"PostgreSQL is installed but does not run: starting a cluster of our own ({programs})")
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgresql-"))
    owner = _unprivileged_user()
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data, port = folder / "data", free_port()

    def run(program: str, *arguments: str) -> None:
        log = folder.with_suffix(".log")
        with log.open("ab") as output:
            as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
            command = [str(programs / program), "-D", str(data), *arguments]
            done = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False, **as_owner)  # type: ignore[call-overload]
        if done.returncode:
            raise machine.Missing(f"PostgreSQL does not start here:\n{log.read_text()}")

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
    try:
        run("initdb", "-U", "gateway", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "-w", "-o", options, "-l", str(folder / "server.log"), "start")
        try:
            yield f"postgresql://gateway@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
