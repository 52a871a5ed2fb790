"""What PostgreSQL says, as the port's errors: what to do about it, and no password in it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import psycopg

from storage.records.port import Outcome, RecordsError

_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")

R = TypeVar("R")


class LostError(RecordsError):
    """The connection ended; whatever was not committed before is undone, a COMMIT on its way may have been heard."""


class AgainError(RecordsError):
    """The server undid the transaction because of another one: it is worth trying again."""


class Advice(NamedTuple):
    """What an error is to callers, and what people can do about it."""

    outcome: Outcome
    text: str


_GIVE_RIGHTS = Advice(Outcome.DENIED, "grant the role its rights on the schema twinboot (docs/postgresql.md)")
_SPACE = Advice(Outcome.FULL, "free some space on the server")
_LOCKED = Advice(Outcome.BUSY, "another session holds the lock: see pg_stat_activity, and repeat this")
_STORED_NOT = Advice(Outcome.INVALID, "nothing was written")
SILENT = Advice(Outcome.UNAVAILABLE, "start PostgreSQL there, or correct PATH")
REFUSED = Advice(Outcome.UNAVAILABLE, "correct PATH, the role or its password (passfile), or pg_hba.conf there")
SEE_SERVER = Advice(Outcome.UNAVAILABLE, "see to the server")

_ADVICE: dict[str, Advice] = {
    "42501": _GIVE_RIGHTS,
    "25006": Advice(Outcome.DENIED, "this is a standby: name the primary in PATH"),
    "42P01": Advice(Outcome.NOT_FOUND, "create a table first"),
    "3F000": Advice(Outcome.NOT_FOUND, "create a table first"),
    "53100": _SPACE,
    "53200": _SPACE,
    "55P03": _LOCKED,
    "57014": Advice(Outcome.BUSY, "the server took too long over it: see pg_stat_activity, and repeat this"),
    "40": _LOCKED,
    "22": _STORED_NOT,
    "23": _STORED_NOT,
}
"""By SQLSTATE, or by its class (the first two characters)."""

_WORTH_ANOTHER_TRY = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, and a row that somebody inserted by hand between our look and our write."""


def is_worth_another_try(error: psycopg.Error) -> bool:
    """Whether the server undid the transaction only because of another one."""
    return error.sqlstate in _WORTH_ANOTHER_TRY


def named(error: psycopg.Error, location: str, given: Mapping[str, str], otherwise: Advice) -> RecordsError:
    """The port's error; `given` is the connection string, whose secrets stay here."""
    state = error.sqlstate or ""
    advice = _ADVICE.get(state) or _ADVICE.get(state[:2]) or otherwise
    said = error.diag.message_primary or str(error)
    text = " ".join(said.split())
    for name in _SECRETS:
        if secret := given.get(name):
            text = text.replace(secret, "***")
    return RecordsError(advice.outcome, f"{location}: {text}: {advice.text}")


def retried(work: Callable[[], R], attempts: int) -> R:
    """Do `work` again when the connection is lost or another transaction was in the way; RecordsError at last."""
    for attempt in range(1, attempts + 1):
        try:
            return work()
        except (LostError, AgainError):
            if attempt == attempts:
                raise
    raise AssertionError
