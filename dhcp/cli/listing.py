"""How `pntadm -P` shows bindings: Sun's columns, tabs between, and the same as JSON."""

from collections.abc import Callable, Iterable, Iterator

from dhcp.cli.fields import flag_letters, flag_names, lease_text
from dhcp.cli.hostnames import Namer
from storage.records import FOREVER_S, Binding, ipv4_text

HEADER = ("Client ID", "Flags", "Client IP", "Server IP", "Lease Expiration", "Macro", "Comment")


def lines(rows: Iterable[Binding], *, verbose: bool, raw: bool) -> Iterator[str]:
    """The listing line by line: the header, an empty line, the bindings."""
    name: Callable[[int], str] = Namer() if verbose else ipv4_text
    yield _line(*HEADER)
    yield ""
    for row in rows:
        flags = flag_letters(row.flags) if verbose else f"{row.flags:02}"
        lease = lease_text(row.lease_s, verbose=verbose, raw=raw)
        client_id = row.client_id.hex().upper()
        yield _line(client_id, flags, name(row.address), name(row.owner), lease, row.macro, row.comment)


def _line(*cells: str) -> str:
    client_id, flags, client, server, lease, macro, comment = cells
    return f"{client_id:<8}\t{flags:<4}\t{client:<8}\t{server:<8}\t{lease:<25}\t{macro:<8}\t{comment}"


def as_json(row: Binding) -> dict[str, object]:
    """One binding; `lease` is null, "forever", or its end in seconds since 1970."""
    return {
        "client_ip": ipv4_text(row.address),
        "client_id": row.client_id.hex().upper(),
        "flags": flag_names(row.flags),
        "server_ip": ipv4_text(row.owner),
        "lease": "forever" if row.lease_s == FOREVER_S else row.lease_s or None,
        "macro": row.macro,
        "comment": row.comment,
    }
