"""The schema `twinboot`: tables, and the triggers that number every change, whoever makes it. Pure: text only.

*Versions in the order of commits.* A sequence would not do: of two transactions, the one that drew the smaller number
may commit later, and a reader who has already seen the greater number would never ask for it. So each container has a
row in `containers` whose `version` is the counter. A writer locks that row before anything else and, as with every
row lock, keeps it until its transaction has ended. PostgreSQL makes a transaction visible before it lets go of its
locks: version n + 1 cannot be drawn before version n is visible or undone. A snapshot that shows n therefore shows all
that came before, whatever the order of starts, pauses and fsyncs. The price is that commits to one container queue;
a batch is one commit, so it is paid once for a batch. (The other way, to keep the transaction id with each row and to
ask again for all since the oldest one that was running, does not queue, but a forgotten session or a `pg_dump` makes
every read a long one, and the ids mean nothing after a restore.)

*A log of changed keys.* `changes` has one row for each statement and container: the version and the keys touched.
Rows carry no version themselves, so that a renewal alters no indexed column (PostgreSQL then updates in place, in the
same page), and a deleted row needs no tombstone but its key in the log. The log keeps the last `CHANGES_KEPT`
versions; who asks for older ones reads the whole table (`containers.floor`).

*Triggers on statements* write the log, not the program: an UPDATE typed in psql is told to all daemons in the same
way. They also refuse rows of a container that was not created.
"""

from storage.records.postgresql_rows import KINDS, SCHEMA, Kind

FORMAT = 2
"""Raised with each change of the schema; a program does not touch a format that is newer than its own."""

CHANGES_KEPT = 4096
"""Versions of each container in the log: minutes at full load, days of quiet."""

PRUNE_EVERY = 64
"""Versions between two prunings: each removes about so many rows, an unnoticeable delay."""

KEYS_MAX = 16_384
"""Keys in one entry of the log. A statement that touches more (a drop, an import) makes readers read the whole."""

ADVISORY_KEY = 0x7477696E626F6F74
"""Held while the schema is made, so that two servers which begin together do it once."""

_COMMON = f"""
IF to_regnamespace('{SCHEMA}') IS NULL THEN -- else an administrator has made it, for a role that may not
  CREATE SCHEMA {SCHEMA};
END IF;
CREATE TABLE {SCHEMA}.format (version integer NOT NULL);
INSERT INTO {SCHEMA}.format VALUES ({FORMAT});
CREATE TABLE {SCHEMA}.containers (
  name text PRIMARY KEY,
  present boolean NOT NULL DEFAULT true,
  version bigint NOT NULL DEFAULT 1,
  floor bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 20);
CREATE TABLE {SCHEMA}.changes (
  container text NOT NULL,
  version bigint NOT NULL,
  keys text[] NOT NULL,
  PRIMARY KEY (container, version)
);
CREATE FUNCTION {SCHEMA}.exactly(met bigint, wanted bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF met <> wanted THEN
    RAISE EXCEPTION 'a row was changed without its container''s lock' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;
CREATE FUNCTION {SCHEMA}.note(place text, touched text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  now_at bigint;
BEGIN
  UPDATE {SCHEMA}.containers SET version = version + 1 WHERE name = place AND present RETURNING version INTO now_at;
  IF NOT FOUND THEN
    RAISE EXCEPTION '%: no such container: create it first', place USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF cardinality(touched) > {KEYS_MAX} THEN
    UPDATE {SCHEMA}.containers SET floor = now_at WHERE name = place;
    DELETE FROM {SCHEMA}.changes WHERE container = place;
    RETURN;
  END IF;
  INSERT INTO {SCHEMA}.changes VALUES (place, now_at, touched);
  IF now_at % {PRUNE_EVERY} = 0 THEN
    DELETE FROM {SCHEMA}.changes WHERE container = place AND version <= now_at - {CHANGES_KEPT};
    UPDATE {SCHEMA}.containers SET floor = greatest(floor, now_at - {CHANGES_KEPT}) WHERE name = place;
  END IF;
END $$;
"""

_SOURCES = {
    "insert": ("NEW TABLE AS added", ("added",)),
    "update": ("OLD TABLE AS removed NEW TABLE AS added", ("removed", "added")),
    "delete": ("OLD TABLE AS removed", ("removed",)),
}


def ddl() -> str:
    """The statement that makes the schema, to be run under the advisory lock."""
    return f"DO $schema$\nBEGIN\n{_COMMON}{''.join(_kind(kind) for kind in KINDS.values())}END $schema$"


def _kind(kind: Kind) -> str:
    columns = [f"{name} {shape.declared.format(name)} NOT NULL" for name, shape in kind.columns.items()]
    if "network" in kind.keys:
        columns.insert(0, "network text NOT NULL")
    made = f"CREATE TABLE {kind.table} ({', '.join(columns)}, PRIMARY KEY ({', '.join(kind.keys)}))"
    triggers = "".join(_trigger(kind, event) for event in _SOURCES)
    return f"{made} WITH (fillfactor = 70);\n{triggers}{_truncate(kind)}"


def _trigger(kind: Kind, event: str) -> str:
    referencing, sources = _SOURCES[event]
    keys = " UNION ALL ".join(f"SELECT {kind.container} AS place, {kind.key} AS k FROM {name} r" for name in sources)
    # in the order of names, so that two statements over several containers cannot wait for one another
    return f"""CREATE FUNCTION {kind.table}_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM {SCHEMA}.note(place, touched) FROM (
    SELECT place, array_agg(DISTINCT k) AS touched FROM ({keys}) each_key GROUP BY place ORDER BY place
  ) each_place;
  RETURN NULL;
END $$;
CREATE TRIGGER {event} AFTER {event} ON {kind.table} REFERENCING {referencing}
  FOR EACH STATEMENT EXECUTE FUNCTION {kind.table}_{event}();
"""


def _truncate(kind: Kind) -> str:
    return f"""CREATE FUNCTION {kind.table}_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE {SCHEMA}.containers SET version = version + 1, floor = version + 1 WHERE {kind.owned};
  RETURN NULL;
END $$;
CREATE TRIGGER truncate AFTER TRUNCATE ON {kind.table} FOR EACH STATEMENT EXECUTE FUNCTION {kind.table}_truncate();
"""
