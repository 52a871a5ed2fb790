import gzip
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jumpstart import initramfs
from jumpstart.debian import MediaError
from jumpstart.media import FILES, build_media

FAKES = {
    "apt-cache": """
[ -e "$STATE/no-lists" ] && { echo 'E: No packages found' >&2; exit 100; }
case $2 in
  xen-system-amd64) echo '  Depends: xen-hypervisor-4.17-amd64'; echo '  Depends: xen-utils-4.17' ;;
  linux-image-amd64) echo '  Depends: linux-image-6.1.0-9-amd64' ;;
esac
""",
    "apt-get": """
for last; do :; done
echo "$*" >>"$STATE/apt-calls"
for name; do
  case $name in xen-*|linux-*|busybox-*)
    case $* in
      *--print-uris*) echo "'http://x/$name.deb' ${name}_$(cat "$STATE/version")_amd64.deb 4 SHA256:ab" ;;
      *) [ -e "$STATE/no-network" ] && { echo 'E: Failed to fetch' >&2; exit 100; }
         printf 'deb\\n' >"${name}_$(cat "$STATE/version")_amd64.deb" ;;
    esac ;;
  esac
done
""",
    "dpkg-deb": """
case $2 in
  *xen-*) mkdir -p "$3/boot"; echo xen | gzip >"$3/boot/xen-4.17-amd64.gz" ;;
  *linux-*) mkdir -p "$3/boot" "$3/lib/modules/6.1/kernel"; echo linux >"$3/boot/vmlinuz-6.1"
            cp "$STATE/e1000.ko" "$3/lib/modules/6.1/kernel/" ;;
  *busybox*) mkdir -p "$3/bin"; echo busybox >"$3/bin/busybox" ;;
esac
""",
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elf: Callable[..., bytes]) -> Path:
    """Stand-ins for Debian's tools in front of the PATH; files in the state directory steer them."""
    state, tools = tmp_path / "state", tmp_path / "tools"
    state.mkdir()
    tools.mkdir()
    (state / "version").write_text("1")
    (state / "e1000.ko").write_bytes(elf("alias=pci:e1000*"))
    for name, body in FAKES.items():
        (tools / name).write_text("#!/bin/sh\n" + body)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(state))
    return state


def build(tmp_path: Path, **how):
    return build_media(tmp_path / "boot", tmp_path / "cache", **how)


def downloads(state: Path) -> int:
    calls = (state / "apt-calls").read_text().splitlines()
    return sum("--print-uris" not in call for call in calls)


def test_the_three_files_are_made_of_the_packages(tmp_path: Path, state: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    media = build(tmp_path, progress=lambda *step: steps.append(step))
    assert media.built
    assert (media.directory / "xen").read_text() == "xen\n"
    assert (media.directory / "vmlinuz").read_text() == "linux\n"
    archive = gzip.decompress((media.directory / "initrd.gz").read_bytes())
    for name in (b"\0init\0", b"bin/busybox\0", b"bin/lease\0", b"lib/modules/6.1/kernel/e1000.ko\0"):
        assert name in b"\0" + archive or name.lstrip(b"\0") in archive
    assert b"alias pci:e1000* e1000\n" in archive
    assert ("fetching Debian packages", 12, 12) in steps
    assert not list((tmp_path / "cache").glob("build-*"))


def test_a_second_run_does_nothing_until_a_package_changes(tmp_path: Path, state: Path) -> None:
    before = build(tmp_path).directory.joinpath("initrd.gz").stat().st_ino
    media = build(tmp_path)
    assert not media.built
    assert media.directory.joinpath("initrd.gz").stat().st_ino == before
    assert downloads(state) == 1
    (state / "version").write_text("2")
    assert build(tmp_path).built
    assert downloads(state) == 2


def test_a_lost_file_is_built_again_from_the_cache(tmp_path: Path, state: Path) -> None:
    (build(tmp_path).directory / "vmlinuz").unlink()
    assert build(tmp_path).built
    assert downloads(state) == 1


def test_two_builds_give_the_same_bytes(tmp_path: Path, state: Path) -> None:
    one = (build_media(tmp_path / "a", tmp_path / "cache").directory / "initrd.gz").read_bytes()
    assert (build_media(tmp_path / "b", tmp_path / "cache").directory / "initrd.gz").read_bytes() == one


@pytest.mark.parametrize(("trouble", "advice"), [("no-lists", "apt-get update"), ("no-network", "check the network")])
def test_trouble_is_one_line_with_the_way_out(tmp_path: Path, state: Path, trouble: str, advice: str) -> None:
    (state / trouble).touch()
    with pytest.raises(MediaError, match=advice) as caught:
        build(tmp_path)
    assert "\n" not in str(caught.value)
    assert not any((tmp_path / "boot" / "live-xen" / name).exists() for name in FILES)


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MediaError, match="apt does not know"):
        build(tmp_path)


@pytest.mark.parametrize("path", initramfs.LIVE_FILES.values(), ids=lambda path: path.name)
def test_our_scripts_run_and_are_clean(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(path)], check=True)
