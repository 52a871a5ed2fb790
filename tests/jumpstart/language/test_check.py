from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from jumpstart.language.check import FILE_MAX_BYTES, check, load_rules
from jumpstart.language.okfile import rules_ok

PROFILE = "install_type initial_install\npool rpool auto auto auto mirror c0t0d0s0 c0t1d0s0\n"
FILES = {
    "rules": "# who gets what\nhostname hv1 begin profiles/hv1 finish\nany - begin = -\n",
    "begin": "#!/bin/sh\ncp $SI_CONFIG_DIR/base $SI_PROFILE\n",
    "finish": "echo done\n",
    "profiles/hv1": PROFILE,
}


def make(root: Path, **changes: str | bytes) -> Path:
    for name, text in (FILES | {name.replace("__", "/"): text for name, text in changes.items()}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def told(root: Path, **options: Any) -> list[str]:
    return [str(fault) for fault in check(root, **options).faults]


def test_a_good_directory_gets_its_rules_ok(tmp_path: Path) -> None:
    checked = check(make(tmp_path))
    assert not checked.faults
    assert checked.written == ("rules.ok",)
    assert checked.judged.profiles == ("profiles/hv1",)
    made = tmp_path / "rules.ok"
    assert made.read_bytes() == rules_ok(FILES["rules"].encode())
    assert stat.S_IMODE(made.stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begin", "finish", "profiles", "rules", "rules.ok"]


def test_an_error_leaves_the_old_rules_ok(tmp_path: Path) -> None:
    make(tmp_path, finish="if\n")
    (tmp_path / "rules.ok").write_text("old")
    checked = check(tmp_path)
    assert not checked.written
    assert (tmp_path / "rules.ok").read_text() == "old"


def test_warnings_do_not_keep_it_from_being_written(tmp_path: Path) -> None:
    checked = check(make(tmp_path, profiles__hv1=PROFILE + "partitioning explicit\n"))
    assert [fault.severity for fault in checked.faults] == ["warning"]
    assert checked.written


def test_all_faults_of_all_files_are_told_in_one_run(tmp_path: Path) -> None:
    rules = "hostname hv1 begn profiles/hv1 finish\nclor red - profiles/hv1 -\nany - - lost -\n"
    make(tmp_path, rules=rules, finish="if true\nthen\n", profiles__hv1="pool x\n", sysidcfg__hv1__sysidcfg="a=b\n")
    lines = told(tmp_path)
    assert [line.partition(": ")[0] for line in lines if ": error: " in line] == [
        "rules:1:14",
        "rules:2:1",
        "rules:3:9",
        "profiles/hv1:1:1",
        "profiles/hv1:1:7",
        "finish:3",
        "sysidcfg/hv1/sysidcfg:1:1",
    ]
    assert lines[0].endswith("the script 'begn' is not in this directory; did you mean begin?")


def test_another_file_of_rules_is_judged_and_nothing_is_written(tmp_path: Path) -> None:
    make(tmp_path, rules_new="any - - profiles/hv1 -\n")
    assert not check(tmp_path, "rules_new").written
    assert told(tmp_path, rules="rules_bad") == [
        "rules_bad: error: there is no such file; make rules_bad, with one rule at least: any - - PROFILE -"
    ]


def test_a_dry_run_says_whether_rules_ok_is_current(tmp_path: Path) -> None:
    make(tmp_path)
    assert "there is none" in told(tmp_path, dry_run=True)[0]
    check(tmp_path)
    assert not told(tmp_path, dry_run=True)
    make(tmp_path, rules="any - - profiles/hv1 -\n")
    assert "it is older than rules" in told(tmp_path, dry_run=True)[0]


def test_a_profile_that_no_rule_names_cannot_stop_the_check(tmp_path: Path) -> None:
    checked = check(make(tmp_path, spare="# copied by a begin script\n\ninstall_type initial_install\nclutser x\n"))
    assert [str(fault) for fault in checked.faults] == [
        "spare:4:1: warning: 'clutser' is no keyword of profiles; did you mean cluster?"
    ]
    assert checked.written


def test_custom_probes_are_known_and_copied(tmp_path: Path) -> None:
    custom = "probe_colour() {\n  :\n}\ncmp_colour() {\n  :\n}\n"
    make(tmp_path, custom_probes=custom, rules="probe colour\ncolour red - profiles/hv1 -\n")
    assert check(tmp_path).written == ("rules.ok", "custom_probes.ok")
    assert (tmp_path / "custom_probes.ok").read_text() == custom
    assert load_rules(tmp_path)[1] == ()


def test_packages_and_clusters_are_held_against_an_image(tmp_path: Path) -> None:
    product = tmp_path / "image" / "Solaris_11" / "Product"
    (product / "SUNWftp").mkdir(parents=True)
    (product / ".clustertoc").write_text("CLUSTER=SUNWCacc\nNAME=x\nEND\nMETACLUSTER=SUNWCXall\nEND\n")
    names = "cluster SUNWCXall\ncluster SUNWCac\npackage SUNWftp\npackage SUNWftq\npackage SUNWz add http://a/b\n"
    root = make(tmp_path / "js", profiles__hv1=PROFILE + names)
    assert told(root, image=tmp_path / "image") == [
        "profiles/hv1:4:9: warning: the image has no cluster 'SUNWCac'; did you mean SUNWCacc?",
        "profiles/hv1:6:9: warning: the image has no package 'SUNWftq'; did you mean SUNWftp?",
    ]
    with pytest.raises(OSError, match="name the root of an install image"):
        check(root, image=root)


@pytest.mark.parametrize("kind", ["fifo", "folder", "large", "link out"])
def test_what_is_no_honest_file_is_a_fault(tmp_path: Path, kind: str) -> None:
    make(tmp_path)
    path = tmp_path / "finish"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.write_bytes(b"#" * (FILE_MAX_BYTES + 1))
    else:
        path.symlink_to("/nowhere/at/all")
    checked = check(tmp_path)
    assert not checked.judged.good
    assert not checked.written


def test_a_file_of_another_system_is_read_to_its_end(tmp_path: Path) -> None:
    lines = told(make(tmp_path, rules=b"hostname hv1 begin profiles/hv1 finish\r\nhostname h\x92v begin = -\r\n"))
    assert [line.partition(": ")[0] for line in lines] == ["rules:1", "rules:2", "rules:2:10", "rules:2:11"]
    assert all(line.isprintable() for line in lines)


def test_a_missing_directory_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        check(tmp_path / "nowhere")
