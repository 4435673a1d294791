"""Databases for the tests: SQLite, and a PostgreSQL of this test run's own.

Debian's server is run without Debian's service: each worker makes a cluster in a folder that goes
away again. POSTGRESQL_TEST_URL names a server to use instead.
"""

import os
import pwd
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url

from fleet.records.opening import open_records
from fleet.records.records import Records

# Read now: every test's environment is cleared of FLEET_ variables.
NEEDED = bool(os.environ.get("FLEET_TEST_NEEDS_POSTGRESQL"))
GIVEN_URL = os.environ.get("POSTGRESQL_TEST_URL")
DEBIAN = Path("/usr/lib/postgresql")
#: Whoever runs the server when the tests are root's: initdb and postgres refuse root.
UNPRIVILEGED = ("postgres", "nobody")
# Only a socket: no port to be taken by someone else. The zone is a quarter of an hour off every
# other one, so that a time which comes back in the server's zone shows.
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
timezone = 'Australia/Eucla'
fsync = off
shared_buffers = 16MB
"""


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server, started when a worker's first test asks for it."""
    if GIVEN_URL:
        yield GIVEN_URL
        return
    if find_spec("psycopg") is None:
        _without("psycopg, the PostgreSQL driver, is not installed")
    servers = [
        path.parent for path in DEBIAN.glob("*/bin/initdb") if path.with_name("pg_ctl").exists()
    ]
    if not servers:
        _without(f"no PostgreSQL server in {DEBIAN} (Debian's package postgresql)")
    newest = max(servers, key=lambda path: int(path.parent.name))
    with _cluster(newest) as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A schema of the test's own, as FLEET_DATABASE_URL would name it."""
    server = make_url(postgresql_server)
    schema = f"fleet_test_{secrets.token_hex(8)}"
    engine = create_engine(server.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    url = server.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        # A connection that a test left open would be waited for without end.
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """What FLEET_DATABASE_URL says: nothing, for SQLite, and then an empty PostgreSQL."""
    if request.param == "sqlite":
        return None
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def records(database_url: str | None, tmp_path: Path) -> Iterator[Records]:
    with open_records(database_url, tmp_path) as opened:
        yield opened


def _without(reason: str) -> NoReturn:
    if NEEDED:
        pytest.fail(f"FLEET_TEST_NEEDS_POSTGRESQL is set, but {reason}", pytrace=False)
    pytest.skip(reason)


@contextmanager
def _cluster(programs: Path) -> Iterator[str]:
    user = _other_user() if os.geteuid() == 0 else None
    # Not pytest's folder: that is closed to other users, and too long for the name of a socket.
    with tempfile.TemporaryDirectory(prefix="fleet-postgresql-", dir="/tmp") as name:
        folder = Path(name)
        data, log, password_file = folder / "data", folder / "log", folder / "password"
        password = secrets.token_urlsafe(16)
        password_file.write_text(password)
        if user:
            for path in (folder, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        login = ("--username=fleet", "--auth=scram-sha-256", f"--pwfile={password_file}")
        kept = ("--encoding=UTF8", "--locale=C", "--no-sync", f"--pgdata={data}")
        _run(user, programs / "initdb", *login, *kept)
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS.format(folder=folder))
        control = (programs / "pg_ctl", "--wait", f"--pgdata={data}")
        try:
            _run(user, *control, "start", f"--log={log}", log=log)
            where = {"host": str(folder)}
            url = URL.create("postgresql", "fleet", password, database="postgres", query=where)
            yield url.render_as_string(hide_password=False)
        finally:
            if (data / "postmaster.pid").exists():
                _run(user, *control, "stop", "--mode=immediate")


def _other_user() -> pwd.struct_passwd:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return known[name]
    _without(f"root cannot run PostgreSQL, and there is no user {' or '.join(UNPRIVILEGED)}")


def _run(user: pwd.struct_passwd | None, *command: str | Path, log: Path | None = None) -> None:
    done = subprocess.run(
        command,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode != 0:
        logged = log.read_text() if log and log.exists() else ""
        pytest.fail(f"{command[0]}: {done.stderr or done.stdout}{logged}", pytrace=False)
