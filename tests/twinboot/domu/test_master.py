from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from storage.volumes.names import parse_snapshot, parse_volume
from twinboot import volumestore
from twinboot.commands.domu_master import domu_master
from twinboot.config import load
from twinboot.events import EVENT_BYTES_MAX, bind_socket, decode

SITE = """
[site]
name = "dc1"
share = "{root}/share"
[server]
name = "s1"
address = "10.77.0.1"
state = "{root}/state"
[storage]
backend = "local"
"""
MIB = 2**20

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    config = tmp_path / "twinboot.toml"
    config.write_text(SITE.format(root=tmp_path))
    monkeypatch.setenv("TWINBOOT_CONFIG", str(config))
    image = tmp_path / "disk.img"
    image.write_bytes(b"\x5a" * MIB + b"\0" * MIB)

    def typed(*words: str) -> Result:
        result = CliRunner().invoke(domu_master, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return typed


def fails(result: Result, words: str) -> None:
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("domu-master: ")
    assert words in line


def test_from_an_image_to_a_version_with_clones_and_back(run, tmp_path: Path) -> None:
    assert "no masters yet" in run("list").stdout
    said = run("import", str(tmp_path / "disk.img"), "masters/osol-0811").stdout.splitlines()
    assert said[-3].startswith("masters/osol-0811: 2.1 MB, of which 1.")
    assert " taken, " in said[-2]
    assert said[-1] == "next: domu-master snapshot masters/osol-0811@version-01"
    assert run("snapshot", "masters/osol-0811@version-01").exit_code == 0
    store = volumestore.open_volumes(load(tmp_path / "twinboot.toml"))
    for number in range(5):
        store.clone(parse_snapshot("masters/osol-0811@version-01"), parse_volume(f"masters/vm-{number}"))
    row = run("list").stdout.splitlines()[1]
    assert row.startswith("masters/osol-0811  2.1 MB  1.")
    assert row.endswith("version-01  masters/vm-0, masters/vm-1, masters/vm-2 and 2 more")
    document = json.loads(run("list", "--json").stdout)
    assert len(document["masters"][0]["versions"][0]["clones"]) == 5
    assert document["usage"]["full_in_s"] is None
    fails(run("destroy", "masters/osol-0811@version-01"), "masters/vm-0, masters/vm-1, masters/vm-2, masters/vm-3")
    fails(run("destroy", "masters/osol-0811"), "masters/osol-0811@version-01")
    for number in range(5):
        assert run("destroy", f"masters/vm-{number}").exit_code == 0
    for name in ("masters/osol-0811@version-01", "masters/osol-0811", "masters"):
        assert run("destroy", name).stdout.startswith(f"{name}: destroyed\n")
    assert store.projects() == []


def test_what_became_of_masters_is_told_to_the_journal(run, tmp_path: Path) -> None:
    config = load(tmp_path / "twinboot.toml")
    config.state.mkdir()
    with bind_socket(config.socket_path) as end:
        end.settimeout(5)
        run("import", str(tmp_path / "disk.img"), "masters/a")
        run("snapshot", "masters/a@v1")
        run("snapshot", "masters/a@v1")  # refused: it is there
        run("destroy", "masters/a@v1", "--dry-run")
        run("destroy", "masters/a@v1")
        events = [decode(end.recv(EVENT_BYTES_MAX)) for _ in range(3)]
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(EVENT_BYTES_MAX)
    told = [(event["kind"], event["volume"], event.get("detail")) for event in events if event]
    assert told == [
        ("volumes.imported", "masters/a", str(tmp_path / "disk.img")),
        ("volumes.kept", "masters/a@v1", None),
        ("volumes.destroyed", "masters/a@v1", None),
    ]
    assert all(event and event["by"].endswith("@s1") for event in events)


def test_a_dry_run_changes_nothing_and_refuses_the_same(run, tmp_path: Path) -> None:
    image = str(tmp_path / "disk.img")
    said = run("import", image, "masters/a", "--dry-run").stdout
    assert said == f"make the project masters\ncopy {image} into the volume masters/a\n"
    assert json.loads(run("list", "--json").stdout)["masters"] == []
    fails(run("import", "/nowhere", "masters/a", "--dry-run"), "no such file")
    assert run("import", image, "masters/a").exit_code == 0
    fails(run("import", image, "masters/a", "--dry-run"), "it is there already")
    assert "keep the present contents" in run("snapshot", "masters/a@v1", "--dry-run").stdout
    assert json.loads(run("list", "--json").stdout)["masters"][0]["versions"] == []
    assert json.loads(run("destroy", "masters/a", "--dry-run", "--json").stdout) == {"steps": ["destroy masters/a"]}
    assert len(json.loads(run("list", "--json").stdout)["masters"]) == 1


def test_an_import_that_fails_leaves_no_project(run, tmp_path: Path) -> None:
    fails(run("import", str(tmp_path / "none.img"), "masters/a"), "no such file")
    store = volumestore.open_volumes(load(tmp_path / "twinboot.toml"))
    assert store.projects() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("snapshot", "masters/osol-0812@version-01"), "did you mean masters/osol-0811?"),
        (("snapshot", "masters/osol-0811"), "add which one after '@'"),
        (("destroy", "masters/osol-0811@version-02"), "no such snapshot"),
        (("destroy", "master"), "did you mean masters?"),
        (("destroy", "Masters/Osol"), "did you mean masters?"),
        (("import", "x", "masters"), "write PROJECT/VOLUME"),
    ],
)
def test_a_mistyped_name_gets_the_grammar_or_the_nearest(
    run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    run("import", str(tmp_path / "disk.img"), "masters/osol-0811")
    fails(run(*words), said)


def test_wrong_usage_is_exit_code_2_and_a_server_without_storage_exit_code_1(run, tmp_path: Path) -> None:
    assert run("import", "x").exit_code == 2
    assert run("lst").exit_code == 2
    config = tmp_path / "other.toml"
    config.write_text(SITE.format(root=tmp_path).partition("[storage]")[0])
    fails(run("list", "--config", str(config)), "this server keeps no volumes")


def test_names_are_completed(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("import", str(tmp_path / "disk.img"), "masters/osol-0811")
    run("snapshot", "masters/osol-0811@version-01")

    def completed(*words: str) -> list[str]:
        env = {"COMP_WORDS": " ".join(["domu-master", *words]), "COMP_CWORD": str(len(words))}
        env["_DOMU_MASTER_COMPLETE"] = "bash_complete"
        result = CliRunner().invoke(domu_master, [], prog_name="domu-master", env=env)
        return [line.partition(",")[2] for line in result.stdout.split()]

    assert completed("destroy", "masters/o") == ["masters/osol-0811", "masters/osol-0811@version-01"]
    assert completed("snapshot", "m") == ["masters/osol-0811"]
    monkeypatch.setenv("TWINBOOT_CONFIG", "/nowhere")
    assert completed("snapshot", "m") == []
