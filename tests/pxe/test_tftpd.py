import errno
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from pxe import tftp_session, tftp_sockets
from pxe.content import Refused, TextContent, Why
from pxe.tftp_limits import MAX_REFUSALS_PER_S, Budget, Limits, within_descriptors
from pxe.tftp_sockets import ListenError
from pxe.tftpd import TftpServer
from pxe.tree import BootTree

PAYLOAD = bytes(range(256)) * 300 + b"tail"


class Rig:
    """A server on 127.0.0.1 in a thread, its tree, and the events it emitted."""

    def __init__(self, root, limits=None):
        self.root = root
        self.events = []
        self.rendered = {}
        tree = BootTree(root)

        def resolve(name, client):
            if name == "poison":
                raise ValueError("a bug in a resolver")
            return self.rendered.get(name) or tree.open(name)

        self.server = TftpServer(resolve, self.emit, limits or Limits())
        (self.address,) = self.server.bind(["127.0.0.1"], 0)
        self.port = self.address[1]
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def emit(self, kind, **fields):
        self.events.append((kind, fields))

    def of_kind(self, kind):
        return [fields for name, fields in list(self.events) if name == kind]

    def wait_for(self, kind, count=1, patience_s=5.0):
        ends = time.monotonic() + patience_s
        while len(self.of_kind(kind)) < count and time.monotonic() < ends:
            time.sleep(0.005)
        found = self.of_kind(kind)
        assert len(found) >= count, self.events[-5:]
        return found

    def close(self):
        self.server.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def rig(tmp_path):
    (tmp_path / "boot" / "grub").mkdir(parents=True)
    (tmp_path / "boot" / "file").write_bytes(PAYLOAD)
    rig = Rig(tmp_path / "boot")
    yield rig
    rig.close()


class Client:
    """A small windowed client of RFC 7440; each step can be driven by hand."""

    def __init__(self, rig, source="127.0.0.1"):
        self.rig = rig
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((source, 0))
        self.sock.settimeout(3)
        self.tid = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, name, mode="octet", tail=b"", opcode=1, **options):
        pairs = b"".join(f"{key}\0{value}\0".encode() for key, value in options.items())
        packet = struct.pack("!H", opcode) + os.fsencode(name) + b"\0" + mode.encode() + b"\0" + pairs + tail
        self.sock.sendto(packet, self.rig.address)

    def raw(self, data, to=None):
        self.sock.sendto(data, to or self.tid or self.rig.address)

    def take(self):
        data, self.tid = self.sock.recvfrom(70000)
        opcode, number = struct.unpack_from("!HH", data)
        return opcode, number, data[4:]

    def silent(self, for_s=0.15):
        self.sock.settimeout(for_s)
        try:
            return self.sock.recv(70000) and False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(3)

    def ack(self, block):
        self.sock.sendto(struct.pack("!HH", 4, block & 0xFFFF), self.tid)

    def oack(self):
        data, self.tid = self.sock.recvfrom(70000)
        assert data[:2] == b"\0\6", data
        fields = data[2:].split(b"\0")[:-1]
        return {key.decode(): value.decode() for key, value in zip(fields[::2], fields[1::2], strict=True)}

    def fetch(self, name, mode="octet", **options):
        """The whole content; checks the order of blocks."""
        self.ask(name, mode, **options)
        blksize, window, block, out = 512, 1, 0, []
        if options:
            granted = self.oack()
            blksize = int(granted.get("blksize", 512))
            window = int(granted.get("windowsize", 1))
            self.ack(0)
        while True:
            opcode, number, data = self.take()
            assert (opcode, number) == (3, (block + 1) & 0xFFFF), data
            block += 1
            out.append(data)
            if len(data) < blksize:
                self.ack(block)
                return b"".join(out)
            if block % window == 0:
                self.ack(block)


@pytest.fixture
def client(rig):
    with Client(rig) as client:
        yield client


# -- whole files


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 512 * 64, 70_001])
@pytest.mark.parametrize("options", [{}, {"windowsize": 7}, {"blksize": 512, "windowsize": 64}])
def test_files_of_every_length_arrive_whole(rig, client, size, options):
    data = os.urandom(size)
    (rig.root / "x").write_bytes(data)
    assert client.fetch("x", **options) == data
    (done,) = rig.wait_for("tftp.done")
    assert done["bytes"] == size


@pytest.mark.parametrize("blksize", [8, 512, 1468, 8192, 65464])
@pytest.mark.parametrize("windowsize", [1, 16, 64])
def test_block_and_window_sizes(rig, client, blksize, windowsize):
    assert client.fetch("file", blksize=blksize, windowsize=windowsize) == PAYLOAD


def test_without_segmentation_in_the_kernel_the_same_blocks_go_out(rig, client, monkeypatch):
    monkeypatch.setattr(tftp_sockets, "set_segment", lambda sock, size: False)
    assert client.fetch("file", blksize=1024, windowsize=16) == PAYLOAD


def connected(kind, peer):
    """A transfer's socket of another kind; the door's port is not needed here."""
    sock = kind(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(peer)
    return sock


def test_packets_that_do_not_fit_the_device_go_out_block_by_block(rig, client, monkeypatch):
    refused = []

    class Picky(socket.socket):
        def send(self, data):
            if len(data) > 1028:
                refused.append(len(data))
                raise OSError(errno.EINVAL, "gso_size > mtu")
            return super().send(data)

    def picky_socket(_door, peer, _segment_bytes):
        return connected(Picky, peer), True

    monkeypatch.setattr(tftp_session, "transfer_socket", picky_socket)
    assert client.fetch("file", blksize=1024, windowsize=16) == PAYLOAD
    assert len(refused) == 1, "tried once, then remembered"


def test_a_full_send_buffer_holds_the_rest_of_the_window_back(rig, client, monkeypatch):
    class Narrow(socket.socket):
        turns = 0

        def send(self, data):
            Narrow.turns += 1
            if Narrow.turns % 3 == 0:
                raise BlockingIOError
            return super().send(data)

    def narrow_socket(_door, peer, _segment_bytes):
        return connected(Narrow, peer), False

    monkeypatch.setattr(tftp_session, "transfer_socket", narrow_socket)
    assert client.fetch("file", blksize=1024, windowsize=16) == PAYLOAD


def test_block_numbers_roll_over_in_a_large_file(rig, client):
    size = 8 * 66_000
    with open(rig.root / "sparse", "wb") as file:
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"last")
    data = client.fetch("sparse", blksize=8, windowsize=64)
    assert len(data) == size
    assert data.endswith(b"last")


def test_rendered_text_is_served_like_a_file(rig, client):
    rig.rendered["grub/grub.cfg"] = TextContent(PAYLOAD, "grub/grub.cfg")
    assert client.fetch("grub/grub.cfg", tsize=0, windowsize=16) == PAYLOAD


def test_the_spellings_of_firmware(rig, client):
    (rig.root / "grub" / "core.0").write_bytes(b"core")
    assert client.fetch("/grub/core.0") == b"core"
    assert client.fetch(r"\grub\core.0") == b"core"


def test_netascii_converts_and_counts_what_it_sends(rig, client):
    (rig.root / "text").write_bytes(b"a\nb\n")
    client.ask("text", "NetASCII", tsize=0)
    assert client.oack() == {"tsize": "6"}
    assert client.fetch("text", "netascii") == b"a\r\nb\r\n"


# -- options


def test_the_oack_repeats_the_clients_spelling(rig, client):
    client.ask("file", BlkSize=1024, TSIZE=0, timeout=3, windowsize=4, unknown=1)
    assert client.oack() == {"BlkSize": "1024", "TSIZE": str(len(PAYLOAD)), "timeout": "3", "windowsize": "4"}


@pytest.mark.parametrize("option", [{"blksize": "abc"}, {"blksize": 7}, {"windowsize": 0}, {"timeout": 999}])
def test_an_option_that_cannot_be_granted_costs_only_itself(rig, client, option):
    client.ask("file", **option)
    assert client.take() == (3, 1, PAYLOAD[:512])


def test_a_client_that_only_asks_for_the_size_is_done_not_failed(rig, client):
    client.ask("file", tsize=0)
    client.oack()
    client.raw(b"\0\5\0\0User aborted the transfer\0")
    (done,) = rig.wait_for("tftp.done")
    assert done["bytes"] == 0
    assert "User aborted" in done["reason"]


# -- the hostile and the odd: each is answered rightly, and the server goes on


def still_serves(rig):
    with Client(rig) as other:
        assert other.fetch("file", blksize=1024, windowsize=8) == PAYLOAD


HOSTILE = """
00 | 0001 | 0002 | 0003 | 0004 | 0005 | 0006 | ffff | 000161 | 00016100 6f63746574 | 0000000000000000
"""
HOSTILE_DATAGRAMS = [
    b"",
    *(bytes.fromhex(text) for text in HOSTILE.split("|")),
    b"\0\1" + b"A" * 1990,
    b"\0\1" + b"A" * 400 + b"\0octet\0",
    b"\0\1" + b"/" * 600 + b"\0octet\0",
    b"\0\1x\0mail\0",
    b"\0\1x\0" + b"o" * 500 + b"\0",
    b"\0\1\0octet\0",
    b"\0\1../../etc/passwd\0octet\0",
    b"\0\1/etc/passwd\0octet\0",
    b"\0\1a\xff\x1b\n\0octet\0",
    b"\0\1file\0octet\0" + b"blksize\0" * 150,
    b"\0\1poison\0octet\0",
]


@pytest.mark.parametrize("data", HOSTILE_DATAGRAMS)
def test_a_hostile_datagram_is_answered_by_an_error_or_by_silence(rig, client, data):
    client.raw(data)
    if data.startswith(b"\0\1file"):
        assert client.take()[0] == 3
    elif len(data) < 2 or data[:2] in (b"\0\3", b"\0\4", b"\0\5", b"\0\6"):
        assert client.silent(0.05)
    else:
        opcode, code, text = client.take()
        assert opcode == 5
        assert code in (0, 1, 2, 4)
        assert text.endswith(b"\0")
        assert text[:-1].decode("ascii").isprintable()
    still_serves(rig)


@pytest.mark.parametrize(
    ("name", "code"),
    [("nothing", 1), ("../x", 2), ("grub", 2), ("out", 2), ("fifo", 2), ("", 1), ("x" * 300, 1), ("device", 2)],
)
def test_each_refusal_has_its_error_code_and_one_event(rig, client, name, code):
    os.symlink("/etc/passwd", rig.root / "out")
    os.mkfifo(rig.root / "fifo")
    os.symlink("/dev/zero", rig.root / "device")
    client.ask(name)
    assert client.take()[:2] == (5, code)
    (refused,) = rig.wait_for("tftp.refused")
    assert refused["address"] == "127.0.0.1"
    assert refused["reason"].isprintable()
    still_serves(rig)


def test_an_unavailable_tree_says_so(rig, client):
    shutil.rmtree(rig.root)
    client.ask("file")
    opcode, code, text = client.take()
    assert (opcode, code) == (5, 0)
    assert b"share" in text


def test_the_resolvers_refusal_reaches_the_client(tmp_path):
    def refuse(name, client):
        raise Refused(Why.NOT_FOUND, f"no boot file {name} for {client}")

    server = TftpServer(refuse, lambda kind, **fields: None)
    rig_like = type("R", (), {"address": server.bind(["127.0.0.1"], 0)[0]})
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        with Client(rig_like) as client:
            client.ask("x")
            assert client.take() == (5, 1, b"no boot file x for 127.0.0.1\0")
    finally:
        server.stop()
        thread.join(5)


def test_writing_is_refused_with_access_violation(rig, client):
    client.ask("file", opcode=2)
    opcode, code, text = client.take()
    assert (opcode, code) == (5, 2)
    assert b"read only" in text


def test_padded_requests_and_acks_are_taken(rig, client):
    client.ask("file", blksize=1024, tail=b"\0" * 46)
    assert client.oack() == {"blksize": "1024"}
    client.raw(b"\0\4\0\0" + b"\0" * 42)
    assert client.take() == (3, 1, PAYLOAD[:1024])


def test_a_stranger_gets_error_5_and_the_transfer_goes_on(rig, client):
    client.ask("file")
    assert client.take()[1] == 1
    with Client(rig) as stranger:
        for data in (b"\0\4\0\1", b"\0\5\0\0stop\0", b"", b"junk", b"\0\4\0\1"):
            stranger.raw(data, client.tid)
        codes = [stranger.take()[:2] for _ in range(4)]  # an ERROR is never answered
        assert codes == [(5, 5)] * 4
    assert client.silent(0.05)
    client.ack(1)
    assert client.take()[1] == 2


def test_a_client_whose_port_closes_for_a_while_finds_its_transfer_again(rig, client):
    client.ask("file")
    client.take()
    ours, theirs = client.sock.getsockname(), client.tid
    client.ack(1)
    client.sock.close()  # block 2 meets a closed port: an ICMP error for the server
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(ours)
        again.settimeout(3)
        assert again.recvfrom(70000) == (b"\0\3\0\2" + PAYLOAD[512:1024], theirs)


def test_what_a_client_repeats_after_the_end_is_not_answered(rig, client):
    (rig.root / "short").write_bytes(b"short")
    client.ask("short")
    client.take()
    client.ack(1)
    rig.wait_for("tftp.done")
    client.ack(1)
    assert client.silent(0.05)


def test_a_doubled_ack_does_not_double_the_data(rig, client):
    client.ask("file")
    client.take()
    for block in range(1, 20):
        client.ack(block)
        client.ack(block)
        assert client.take()[1] == block + 1
    assert client.silent(0.1)


def test_an_ack_from_the_future_is_ignored(rig, client):
    client.ask("file")
    client.take()
    client.ack(7)
    assert client.silent(0.1)
    client.ack(1)
    assert client.take()[1] == 2


def test_a_repeated_request_gets_the_same_answer_from_the_same_port(rig, client):
    client.ask("file", tsize=0)
    client.oack()
    first = client.tid
    client.ask("file", tsize=0)
    client.oack()
    assert client.tid == first
    assert len(rig.of_kind("tftp.start")) == 1


def test_a_late_copy_of_the_request_does_not_disturb_the_transfer(rig, client):
    client.ask("file")
    client.take()
    client.ack(1)
    assert client.take()[1] == 2
    client.ask("file")
    assert client.silent(0.1)
    client.ack(2)
    assert client.take()[1] == 3


def test_a_port_that_asks_for_another_file_starts_over(rig, client):
    (rig.root / "other").write_bytes(b"other")
    client.ask("file")
    client.take()
    client.ask("other")
    assert client.take() == (3, 1, b"other")
    (failed,) = rig.wait_for("tftp.failed")
    assert failed["reason"] == "the client started over"


def test_an_error_from_the_client_ends_the_transfer(rig, client):
    client.ask("file")
    client.take()
    client.ack(1)
    client.take()
    client.raw(b"\0\5\0\3disk full\0")
    (failed,) = rig.wait_for("tftp.failed")
    assert "disk full" in failed["reason"]
    assert failed["bytes"] == 512


def test_a_lost_block_is_sent_again(rig, client):
    client.ask("file")
    assert client.take()[1] == 1
    assert client.take()[1] == 1, "the timer repeats what was not acknowledged"


def test_a_file_that_shrinks_ends_its_transfer_with_an_error(rig, client):
    client.ask("file")
    client.take()
    os.truncate(rig.root / "file", 600)
    for block in range(1, 200):
        client.ack(block)
        opcode, _number, text = client.take()
        if opcode == 5:
            break
    assert b"shorter" in text
    rig.wait_for("tftp.failed")


def test_stopping_tells_the_clients(rig, client):
    client.ask("file")
    client.take()
    rig.close()
    assert client.take()[:2] == (5, 0)
    assert rig.wait_for("tftp.failed")[0]["reason"] == "the server stops"


# -- limits


def test_a_client_over_its_limit_is_told_to_come_back(tmp_path):
    (tmp_path / "file").write_bytes(PAYLOAD)
    rig = Rig(tmp_path, Limits(transfers=10, per_client=2))
    try:
        with Client(rig) as one, Client(rig) as two, Client(rig) as three, Client(rig, "127.0.0.2") as other:
            one.ask("file")
            two.ask("file")
            assert one.take()[0] == two.take()[0] == 3
            three.ask("file")
            opcode, code, text = three.take()
            assert (opcode, code) == (5, 0)
            assert b"busy" in text
            other.ask("file")
            assert other.take()[0] == 3
    finally:
        rig.close()


def test_a_full_table_gives_up_the_client_that_was_never_heard_again(tmp_path):
    (tmp_path / "file").write_bytes(PAYLOAD)
    rig = Rig(tmp_path, Limits(transfers=2, per_client=2))
    try:
        with Client(rig) as heard, Client(rig) as silent, Client(rig, "127.0.0.2") as new:
            heard.ask("file")
            heard.take()
            heard.ack(1)
            heard.take()
            silent.ask("file")
            silent.take()
            new.ask("file")
            assert new.take()[0] == 3
            new.ack(1)
            assert new.take()[1] == 2
            heard.ack(2)
            assert heard.take()[1] == 3
            with Client(rig, "127.0.0.3") as late:
                late.ask("file")
                assert late.take()[0] == 5, "everyone is at work: busy"
    finally:
        rig.close()


def test_a_thousand_transfers_at_once(rig):
    clients = [Client(rig, f"127.0.1.{number % 10 + 1}") for number in range(1000)]
    try:
        for client in clients:
            client.ask("file", blksize=32768, windowsize=1)
        for client in clients:
            client.oack()
        assert not rig.of_kind("tftp.done"), "all of them are under way together"
        for block in range(3):
            for client in clients:
                client.ack(block)
            for number, client in enumerate(clients):
                data = client.take()
                assert data[:2] == (3, block + 1), number
                assert data[2] == PAYLOAD[block * 32768 : (block + 1) * 32768]
        for client in clients:
            client.ack(3)
        rig.wait_for("tftp.done", 1000)
    finally:
        for client in clients:
            client.sock.close()


def test_transfers_leave_no_descriptor_behind(rig):
    still_serves(rig)
    rig.wait_for("tftp.done")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        still_serves(rig)
    rig.wait_for("tftp.done", 21)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_refusals_are_reported_at_a_bounded_rate(rig, client):
    for _ in range(400):
        client.ask("nothing")
        client.take()
    seconds = 5  # far more than it takes
    assert len(rig.of_kind("tftp.refused")) <= MAX_REFUSALS_PER_S * seconds


def test_a_budget_counts_what_it_skips(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = Budget(per_s=2)
    assert [budget.take() for _ in range(5)] == [0, 0, None, None, None]
    now[0] += 1
    assert budget.take() == 3
    assert budget.take() == 0


def test_the_limits_fit_the_descriptors_of_the_system(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda which: (100, 364))
    monkeypatch.setattr("resource.setrlimit", lambda which, pair: None)
    assert within_descriptors(Limits()).transfers == 100


# -- listening


def test_a_port_in_use_is_one_clear_line(rig):
    server = TftpServer(lambda name, client: TextContent(b"", name), lambda kind, **fields: None)
    with pytest.raises(ListenError) as caught:
        server.bind(["127.0.0.1"], rig.port)
    text = str(caught.value)
    assert f"127.0.0.1 port {rig.port}" in text
    assert "another server has it" in text
    assert "\n" not in text


def test_an_address_of_another_machine_is_one_clear_line():
    server = TftpServer(lambda name, client: TextContent(b"", name), lambda kind, **fields: None)
    with pytest.raises(ListenError, match="no interface has this address"):
        server.bind(["192.0.2.1"], 0)


def test_the_answer_comes_from_the_address_that_was_asked(tmp_path):
    (tmp_path / "file").write_bytes(PAYLOAD)
    events = []
    server = TftpServer(lambda name, client: BootTree(tmp_path).open(name), lambda kind, **f: events.append(f))
    _any, port = server.bind(["0.0.0.0"], 0)[0]
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        with Client(type("R", (), {"address": ("127.0.0.7", port)})) as client:
            client.ask("nothing")
            assert client.take()[:2] == (5, 1)
            assert client.tid[0] == "127.0.0.7"
            assert client.fetch("file") == PAYLOAD
            assert client.tid[0] == "127.0.0.7"
    finally:
        server.stop()
        thread.join(5)
    assert events[-1]["server"] == "127.0.0.7"


def test_events_tell_the_story_of_a_transfer(rig, client):
    client.fetch("file", blksize=1024, windowsize=4)
    (done,) = rig.wait_for("tftp.done")
    (start,) = rig.of_kind("tftp.start")
    common = {"address": "127.0.0.1", "server": "127.0.0.1", "file": "file", "blksize": 1024, "windowsize": 4}
    assert start == {**common, "bytes": len(PAYLOAD)}
    elapsed_s = done.pop("elapsed_s")
    assert done == {**common, "bytes": len(PAYLOAD)}
    assert 0 < elapsed_s < 60


# -- other people's clients

COMMANDS = {
    "tftp-hpa": ["tftp", "-m", "binary", "127.0.0.1", "{port}", "-c", "get", "{file}", "{out}"],
    "curl": ["curl", "-sS", "-o", "{out}", "tftp://127.0.0.1:{port}/{file}"],
    "curl-1468": ["curl", "-sS", "--tftp-blksize", "1468", "-o", "{out}", "tftp://127.0.0.1:{port}/{file}"],
    "atftp": ["atftp", "-g", "-r", "{file}", "-l", "{out}", "127.0.0.1", "{port}"],
    "atftp-16": ["atftp", "--option", "windowsize 16", "-g", "-r", "{file}", "-l", "{out}", "127.0.0.1", "{port}"],
    "busybox": ["busybox", "tftp", "-b", "1468", "-g", "-r", "{file}", "-l", "{out}", "127.0.0.1", "{port}"],
}


@pytest.mark.parametrize("size", [0, 1024, len(PAYLOAD)])
@pytest.mark.parametrize("which", COMMANDS)
def test_other_peoples_clients(rig, tmp_path, which, size):
    command = COMMANDS[which]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (rig.root / "theirs").write_bytes(PAYLOAD[:size])
    out = tmp_path / "out"
    filled = [word.format(port=rig.port, file="theirs", out=out) for word in command]
    subprocess.run(filled, check=True, timeout=20, capture_output=True)
    assert out.read_bytes() == PAYLOAD[:size]


def test_a_packet_that_comes_between_the_two_steps_of_stopping_harms_nothing(rig, monkeypatch):
    wake = os.eventfd_write

    def late(fd, value):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
            somebody.sendto(b"no request", rig.address)
        rig.thread.join(0.2)  # ends by then if it looks at the flag alone
        wake(fd, value)

    monkeypatch.setattr(os, "eventfd_write", late)
    rig.server.stop()
    rig.thread.join(5)
    assert not rig.thread.is_alive()


def test_tftpy_reads_from_us(rig, tmp_path):
    tftpy = pytest.importorskip("tftpy")
    out = tmp_path / "out"
    tftpy.TftpClient("127.0.0.1", rig.port, {"blksize": 1024}).download("file", str(out))
    assert out.read_bytes() == PAYLOAD


def test_a_missing_file_is_a_plain_sentence_in_tftp_hpa(rig, tmp_path):
    if shutil.which("tftp") is None:
        pytest.skip("tftp is not installed")
    command = ["tftp", "127.0.0.1", str(rig.port), "-c", "get", "nothing", str(tmp_path / "out")]
    answer = subprocess.run(command, timeout=20, capture_output=True, text=True, check=False)
    assert "Error code 1: 'nothing' is not there" in answer.stdout + answer.stderr
