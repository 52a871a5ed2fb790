"""Who else changes the share: an operator with Sun's commands, and somebody with an editor.

They are processes with a mount of their own, as on a third host. What they do must never harm a client.
"""

from contextlib import suppress
from random import Random

from storage.records import FREE_ID, MANUAL, UNUSABLE, Binding, Change, Records, RecordsError, TabEntry
from storage.records.container import container_name
from twinboot.lab.simulate.share import Mount

COMMENT_FIELD = 7  # of a line of a container


def free_declined(records: Records, table: str) -> None:
    """Make addresses that clients declined usable again (pntadm -M -f DYNAMIC)."""
    with suppress(RecordsError):
        rows = [row for row in records.read(table).rows if isinstance(row, Binding)]
        spent = [row for row in rows if row.flags & UNUSABLE and not row.flags & MANUAL]
        records.commit(
            [
                Change(table, row, row._replace(flags=row.flags & ~UNUSABLE, client_id=FREE_ID, lease_s=0))
                for row in spent
            ]
        )


def alter_lease(records: Records, table: str, lease_s: int) -> None:
    """Set the lease time of a network's macro (dhtadm -M)."""
    with suppress(RecordsError):
        for row in records.read("dhcptab").rows:
            if isinstance(row, TabEntry) and row.name == table:
                records.commit([Change("dhcptab", row, row._replace(value=f":LeaseTim={lease_s}:LeaseNeg:"))])


def edit_copy(files: Mount, table: str, rng: Random) -> None:
    """Write a comment into a line of the published copy, as an editor does: a new file in place of the old one."""
    name = container_name(table)
    with suppress(OSError):
        lines = files.read(name).split(b"\n")
        rows = [index for index, line in enumerate(lines) if line and not line.startswith(b"#")]
        if not rows:
            return
        index = rng.choice(rows)
        fields = lines[index].split(b"|")
        fields[COMMENT_FIELD] = b"edited %d" % rng.randrange(1000)
        lines[index] = b"|".join(fields)
        saved = f".{name}.{rng.randrange(10**9)}"
        files.write(saved, [b"\n".join(lines)])
        files.rename(saved, name)
