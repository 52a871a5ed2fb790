"""Building the debian target's image, with stand-ins for apt, mmdebstrap and zstd."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jumpstart import debian_image
from jumpstart.debian import MediaError
from jumpstart.debian_image import FILES, build_image

APT_CACHE = """echo "  Depends: xen-hypervisor-4.17-amd64"; echo "  Depends: linux-image-6.1.0-1-amd64" """
APT_GET = """cat "$(dirname "$0")/versions" """
MMDEBSTRAP = """echo "I: running apt-get update..." >&2; echo "$@" >>"$(dirname "$0")/calls"; printf root
for word in "$@"; do case $word in
    *"download /tmp/installer.img "*) echo installer >"${word##* }" ;;
    *"download /vmlinuz "* | *"download /tmp/vmlinuz "*) echo kernel >"${word##* }" ;;
esac; done
"""
ZSTD = """echo packed >"$6" """


class Builder:
    """A PATH of stand-ins, a boot directory, a cache."""

    def __init__(self, place: Path) -> None:
        self.bin, self.boot, self.cache = place / "bin", place / "boot", place / "cache"
        self.bin.mkdir()
        for tool, does in (("apt-cache", APT_CACHE), ("apt-get", APT_GET), ("mmdebstrap", MMDEBSTRAP), ("zstd", ZSTD)):
            self.stand_in(tool, does)
        self.stand_in("apt-config", """echo 'Acquire::http::Proxy "http://10.0.0.9:3142";'""")
        self.versions("linux-image-6.1.0-1-amd64 (6.1.1 Debian:12 [amd64])")
        self.steps: list[str] = []

    def stand_in(self, tool: str, does: str) -> None:
        path = self.bin / tool
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def versions(self, *lines: str) -> None:
        (self.bin / "versions").write_text("".join(f"Inst {line}\nConf {line}\n" for line in lines))

    def build(self, *extra: str) -> bool:
        return build_image(self.boot, self.cache, lambda step, _done, _total: self.steps.append(step), extra).built

    @property
    def calls(self) -> list[str]:
        path = self.bin / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    builder = Builder(tmp_path)
    monkeypatch.setenv("PATH", f"{builder.bin}:{os.environ['PATH']}")
    monkeypatch.setattr(debian_image, "_mode", lambda: "unshare")
    monkeypatch.setattr(debian_image, "_suite", lambda: "bookworm")
    monkeypatch.setattr(debian_image, "sources", lambda: ("/etc/apt/sources.list",))
    monkeypatch.setattr(debian_image, "POLL_S", 0.01)
    return builder


def test_one_run_makes_all_files_and_tells_its_steps(builder: Builder) -> None:
    assert builder.build("lldpd")
    assert {name: (builder.boot / "debian" / name).read_text() for name in FILES} == {
        "vmlinuz": "kernel\n",
        "installer.img": "installer\n",
        "root.tar.zst": "packed\n",
    }
    (call,) = builder.calls
    assert "xen-utils-4.17,linux-image-6.1.0-1-amd64" in call
    assert ",lldpd " in call
    assert '--aptopt=Acquire::http::Proxy "http://10.0.0.9:3142"' in call
    assert "packing the root archive" in builder.steps


def test_equal_versions_are_not_built_again_and_others_are(builder: Builder) -> None:
    assert [builder.build(), builder.build()] == [True, False]
    builder.versions("linux-image-6.1.0-1-amd64 (6.1.2 Debian:12 [amd64])")
    assert [builder.build(), builder.build(), builder.build("less"), builder.build("lldpd")] == [
        True,
        False,
        False,
        True,
    ]
    assert len(builder.calls) == 3


def test_a_run_that_fails_says_why_and_leaves_no_stamp(builder: Builder) -> None:
    builder.stand_in("mmdebstrap", "echo 'E: no space left' >&2; exit 25")
    with pytest.raises(MediaError, match="mmdebstrap failed: E: no space left"):
        builder.build()
    assert not (builder.boot / "debian").exists()
    assert list(builder.cache.iterdir()) == []


def test_a_machine_without_the_tool_is_told_in_one_line(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(MediaError, match="mmdebstrap is not installed: apt-get install mmdebstrap"):
        builder.build()


def test_an_unknown_package_names_the_way_out(builder: Builder) -> None:
    builder.stand_in("apt-get", "echo 'E: Unable to locate package nonsense' >&2; exit 100")
    with pytest.raises(MediaError, match="nonsense; run `apt-get update`"):
        builder.build("nonsense")
