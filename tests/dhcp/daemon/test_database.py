"""The daemon on a real database: leases, a connection that is cut, and what another server stores."""

import psycopg

from dhcp.options import MessageType
from storage.records import MANUAL, Binding, Change, Outcome, open_records
from tests.dhcp.conftest import NETWORK, Start, chosen, make_binding
from tests.rows import rows_of

MAC = "00:14:4f:00:00:01"


def test_leases_survive_a_cut_connection_and_follow_the_other_server(start: Start, database: str) -> None:
    other = open_records("postgresql", database)
    other.create(NETWORK)
    other.create("dhcptab")
    bindings = [make_binding(f"127.0.0.{host}") for host in range(20, 40)]
    assert {result.outcome for result in other.commit([Change(NETWORK, None, row) for row in bindings])} == {
        Outcome.STORED
    }
    lab = start(open_records("postgresql", database))
    ack = lab.relay.lease(MAC)
    (row,) = (row for row in rows_of(other, NETWORK, Binding) if row.client_id == bytes.fromhex("0100144f000001"))
    assert row.address == ack.yiaddr
    with psycopg.connect(database, autocommit=True) as psql:
        psql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'twinboot' AND pid <> pg_backend_pid()"
        )
    renewed = lab.relay.ask(MessageType.REQUEST, MAC, ciaddr=f"127.0.0.{ack.yiaddr & 255}")
    assert (renewed.message_type, renewed.yiaddr) == (MessageType.ACK, ack.yiaddr)
    reserved = next(row for row in rows_of(other, NETWORK, Binding) if row.address & 255 == 33)
    taken = reserved._replace(client_id=bytes.fromhex("0100144f000002"), flags=MANUAL)
    assert other.commit([Change(NETWORK, reserved, taken)])[0].outcome is Outcome.STORED
    offer = lab.relay.ask(MessageType.DISCOVER, "00:14:4f:00:00:02")
    assert offer.yiaddr == reserved.address
    given = lab.relay.ask(MessageType.REQUEST, "00:14:4f:00:00:02", options=chosen(offer))
    assert given.message_type is MessageType.ACK
