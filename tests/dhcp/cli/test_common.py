"""Options by getopt's rules, where the datastore is found, exit codes, and whose files root makes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dhcp import svcconf
from dhcp.cli import common, dhtadm, pntadm
from dhcp.cli.common import (
    CommandError,
    Exit,
    Function,
    Options,
    Place,
    Session,
    UsageError,
    acting_for,
    choose,
    conf_path,
    exit_code,
    find_place,
    parse,
    run,
)
from storage.records import MemoryRecords, Outcome, RecordsError, SunwFiles

PNTADM = [sys.executable, "-c", "from dhcp.cli.pntadm import main; raise SystemExit(main())"]


def test_options_may_be_joined_and_stand_anywhere() -> None:
    options = parse(["-Pv", "net", "-p/var/dhcp", "--config-file=x", "-r", "SUNWfiles"], "Pvr:p:")
    assert options.values == {"P": "", "v": "", "p": "/var/dhcp", "config-file": "x", "r": "SUNWfiles"}
    assert options.operands == ("net",)
    assert parse(["-e", "-1", "--", "-x"], "e:") == Options({"e": "-1"}, ("-x",))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-q"], "not recognized"),
        (["-r"], "requires argument"),
        (["-P", "-P"], "-P is given twice"),
        (["--nonsense"], "not recognized"),
    ],
)
def test_wrong_options_are_wrong_usage(argv: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(argv, "Pr:")


def test_one_function_with_its_options_is_chosen() -> None:
    functions = {"P": Function(may="v", long=("json",)), "A": Function(needs="d", operands=(1, 2))}
    assert choose(Options({"P": "", "v": "", "json": "", "config-file": "x", "r": "x"}), functions) == "P"
    assert choose(Options({"A": "", "d": ""}, ("x", "y")), functions) == "A"
    for values, operands, words in (
        ({}, (), "give one of -P -A"),
        ({"P": "", "A": ""}, (), "not 2"),
        ({"A": ""}, ("x",), "-A needs -d"),
        ({"P": "", "d": ""}, (), "-d does not go with -P"),
        ({"A": "", "d": "", "json": ""}, ("x",), "--json does not go with -A"),
        ({"A": "", "d": ""}, (), "-A takes 1 to 2 operands, not 0"),
    ):
        with pytest.raises(UsageError, match=words):
            choose(Options(values, operands), functions)


def test_the_configuration_is_found_by_option_variable_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, suns = tmp_path / "ours", tmp_path / "suns"
    monkeypatch.delenv(common.CONF_VARIABLE, raising=False)
    monkeypatch.setattr(common, "CONF_PATHS", (ours, suns))
    assert conf_path(Options({})) == ours  # where a new one belongs
    suns.touch()
    assert conf_path(Options({})) == suns
    ours.touch()
    assert conf_path(Options({})) == ours
    monkeypatch.setenv(common.CONF_VARIABLE, "/env")
    assert conf_path(Options({})) == Path("/env")
    assert conf_path(Options({"config-file": "/option"})) == Path("/option")


def test_options_override_the_configuration_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "dhcpsvc.conf"
    file.write_text("RESOURCE=SUNWfiles\nPATH=/var/dhcp\nOWNER_IP=nonsense\n")  # a fault elsewhere does not matter
    said = {"config-file": str(file)}
    assert find_place(Options(said)) == Place("SUNWfiles", "/var/dhcp")
    assert find_place(Options({**said, "p": "/x"})) == Place("SUNWfiles", "/x")
    assert find_place(Options({**said, "r": "twinlog", "u": "ignored"})) == Place("twinlog", "/var/dhcp")
    assert find_place(Options({"r": "a", "p": "b", "config-file": "/nowhere"})) == Place("a", "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RESOURCE=SUNWfiles\nPATH=/x\nCONVER=0\n", "There is a version mismatch: .* CONVER=0"),
        ("PATH=/x\n", "RESOURCE is not set: add a line RESOURCE=, or give -r"),
        ("RESOURCE=SUNWfiles\nPATH=\n", "PATH is not set: add a line PATH=, or give -p"),
    ],
)
def test_a_configuration_that_does_not_tell_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "dhcpsvc.conf"
    file.write_text(text)
    with pytest.raises(CommandError, match=words) as caught:
        find_place(Options({"config-file": str(file)}))
    assert caught.value.code is Exit.CRITICAL
    with pytest.raises(svcconf.ConfError, match="cannot be read"):
        find_place(Options({"config-file": str(tmp_path / "none")}))


def test_a_session_opens_each_datastore_once() -> None:
    opened: list[tuple[str, str]] = []

    def opener(resource: str, path: str) -> MemoryRecords:
        opened.append((resource, path))
        return MemoryRecords()

    session = Session(opener)
    for place in ({"r": "a", "p": "b"}, {"r": "a", "p": "c"}, {"r": "a", "p": "b"}):
        with session.records(Options(place)):
            pass
    assert opened == [("a", "b"), ("a", "c")]


def test_every_outcome_has_an_exit_code() -> None:
    assert {outcome: int(exit_code(outcome)) for outcome in Outcome} == {
        Outcome.STORED: 0,
        Outcome.EXISTS: 1,
        Outcome.NOT_FOUND: 2,
        Outcome.COLLISION: 3,
        Outcome.BUSY: 3,
        Outcome.FULL: 3,
        Outcome.UNAVAILABLE: 3,
        Outcome.INVALID: 3,
        Outcome.DENIED: 4,
    }


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("no"), 4, "prog: no\n\nUSE\n"),
        (CommandError("no", Exit.EXISTS), 1, "prog: no\n"),
        (RecordsError(Outcome.NOT_FOUND, "no"), 2, "prog: no\n"),
        (
            svcconf.ConfError([svcconf.ConfFault("f", "K", "a"), svcconf.ConfFault("f", "L", "b")]),
            4,
            "prog: f: K: a\nprog: f: L: b\n",
        ),
        (KeyboardInterrupt(), 4, "prog: interrupted\n"),
    ],
)
def test_what_goes_wrong_is_printed_by_name(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert run("prog", "USE", fail) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize(("target", "code", "words"), [("/dev/full", 4, "No space left on device"), ("", 0, "")])
def test_output_that_nobody_takes_is_no_traceback(conf: Path, target: str, code: int, words: str) -> None:
    records = SunwFiles(conf.parent / "dhcp")
    for number in range(100):
        records.create(f"10.{number}.0.0")
    reader, writer = os.pipe()
    os.close(reader)
    out = os.open(target, os.O_WRONLY) if target else writer
    try:
        found = subprocess.run([*PNTADM, "-L"], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
        if target:
            os.close(out)
    assert (found.returncode, "Traceback" in found.stderr) == (code, False)
    assert words in found.stderr


@pytest.mark.root
def test_what_root_makes_belongs_to_the_owner_of_the_directory() -> None:
    owner, group = 12345, 23456
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to other users
        store = Path(name)
        os.chown(store, owner, group)
        place = ["-r", "SUNWfiles", "-p", name]
        subprocess.run([*PNTADM, "-C", *place, "10.0.0.0"], check=True)
        subprocess.run([*PNTADM, "-A", "10.0.0.1", "-s", "10.0.0.250", *place, "10.0.0.0"], check=True)
        made = list(store.iterdir())
        assert len(made) == 2  # the container and its lock
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(owner, group)}
        with acting_for(store):
            assert (os.geteuid(), os.getegid(), os.getgroups()) == (owner, group, [group])
        assert os.geteuid() == 0


def test_without_a_directory_nobody_else_is_acted_for(tmp_path: Path) -> None:
    with acting_for(tmp_path / "none"):
        assert os.geteuid() == os.getuid()


@pytest.mark.parametrize("usage", [dhtadm.USAGE, pntadm.USAGE], ids=["dhtadm", "pntadm"])
def test_the_reference_has_the_usage_text(usage: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / "sun-commands.md").read_text()
    assert "".join(f"    {line}\n" if line else "\n" for line in usage.splitlines()) in text
