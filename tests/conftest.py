"""What tests of several rooms share: servers of which one run has one, started by the first test that asks for it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postgresql_server import Server, programs
from tests.zfs_fuse import ZfsFuse, lacking

settings.register_profile("house", deadline=None)  # no test asserts a time: the machine may be busy
settings.load_profile("house")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Return a PostgreSQL server that lives as long as the run."""
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = Server(bin_dir)
    yield server
    server.remove()


@pytest.fixture
def database(postgresql: Server) -> str:
    """Return the connection string of a database without our schema."""
    import psycopg  # noqa: PLC0415 - the driver is optional

    with psycopg.connect(postgresql.conninfo, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS twinboot CASCADE")
    return postgresql.conninfo


@pytest.fixture(scope="session")
def zfs_fuse() -> Iterator[ZfsFuse]:
    """Return a ZFS pool that lives as long as the run."""
    why = lacking()
    if why:
        pytest.skip(why)
    made = ZfsFuse()
    yield made
    made.stop()
