import os
from pathlib import Path

import pytest

from jumpstart.hostfile import HostError
from jumpstart.hosts import FILE_MAX_BYTES, HostsCache, load_host, load_hosts


def text(name: str, mac: str, address: str = "") -> str:
    extra = f'address = "{address}"\n' if address else ""
    return f'name = "{name}"\nsegment = "odd"\ntarget = "live-xen"\n[links.fe0]\nmac = "{mac}"\n{extra}'


def put(directory: Path, name: str, content: str) -> Path:
    """Replace a file the way an editor does, so that its inode tells the change."""
    path = directory / f"{name}.toml"
    (directory / ".new").write_text(content)
    (directory / ".new").rename(path)
    return path


A, B, C = "00:14:4f:00:00:01", "00:14:4f:00:00:02", "00:14:4f:00:00:03"


def test_a_broken_file_is_a_fault_and_the_others_load(tmp_path: Path) -> None:
    put(tmp_path, "hv1", text("hv1", A))
    put(tmp_path, "hv2", "name = ")
    (tmp_path / "hv3.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "hv4.toml").mkdir()
    (tmp_path / "hv5.toml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "hv6.toml")
    put(tmp_path, "hv7", "#" * (FILE_MAX_BYTES + 1))
    (tmp_path / "README").write_text("not a host")
    hosts = load_hosts(tmp_path)
    assert set(hosts.by_name) == {"hv1"}
    assert set(hosts.by_mac) == {A}
    assert [Path(fault.file).stem for fault in hosts.faults] == [f"hv{n}" for n in range(2, 8)]


def test_the_file_name_must_be_the_hosts_name(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"rename the file to hv1\.toml"):
        load_host(put(tmp_path, "hv9", text("hv1", A)))


@pytest.mark.parametrize("second", [text("hv2", A), text("hv2", B, "10.0.0.5")])
def test_a_disputed_mac_or_address_puts_both_hosts_out(tmp_path: Path, second: str) -> None:
    put(tmp_path, "hv1", text("hv1", A, "10.0.0.5"))
    put(tmp_path, "hv2", second)
    put(tmp_path, "hv3", text("hv3", C))
    hosts = load_hosts(tmp_path)
    assert set(hosts.by_name) == {"hv3"}
    assert set(hosts.by_mac) == {C}
    one, two = hosts.faults
    assert one.file.endswith("hv1.toml")
    assert "hv2.toml" in one.reason
    assert two.file.endswith("hv2.toml")
    assert "hv1.toml" in two.reason


def test_an_edit_that_breaks_a_file_leaves_its_last_good_content_in_force(tmp_path: Path) -> None:
    cache = HostsCache(tmp_path)
    put(tmp_path, "hv1", text("hv1", A))
    good = cache.get().by_name["hv1"]
    put(tmp_path, "hv1", text("hv1", A).replace('"odd"', '"left"'))
    hosts = cache.get()
    assert hosts.by_mac[A] == good
    assert [fault.key for fault in hosts.faults] == ["segment"]
    put(tmp_path, "hv1", text("hv1", B))
    assert set(cache.get().by_mac) == {B}
    (tmp_path / "hv1.toml").unlink()
    assert not cache.get().by_name


def test_nothing_is_read_again_while_nothing_changes(tmp_path: Path) -> None:
    reads: list[str] = []

    def load(path: Path):
        reads.append(path.name)
        return load_host(path)

    put(tmp_path, "hv1", text("hv1", A))
    put(tmp_path, "hv2", text("hv2", B))
    cache = HostsCache(tmp_path, load)
    assert cache.get() is cache.get()
    put(tmp_path, "hv2", text("hv2", C))
    cache.get()
    assert reads == ["hv1.toml", "hv2.toml", "hv2.toml"]


def test_a_missing_share_keeps_the_last_hosts(tmp_path: Path) -> None:
    directory = tmp_path / "hosts"
    directory.mkdir()
    put(directory, "hv1", text("hv1", A))
    cache = HostsCache(directory)
    before = cache.get()
    directory.rename(tmp_path / "away")
    hosts = cache.get()
    assert hosts.by_name == before.by_name
    assert "share is mounted" in hosts.faults[0].reason
    (tmp_path / "away").rename(directory)
    assert cache.get().faults == ()
