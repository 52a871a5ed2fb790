"""A value with a blank, comma, quote, line end or `$(` is refused or stays a value, whatever the target renders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jumpstart.hostfile import HostError, from_toml
from jumpstart.quoting import ArgumentError
from jumpstart.targets import BootContext
from jumpstart.targets.debian import Debian
from tests.jumpstart.targets.test_debian import CTX, HV1, overlay

EVIL = (
    *("a b", "a,b", "a'b", 'a"b', "a\nEVIL=1", "a\r\nEVIL=1"),
    *("a$(touch PWNED)", "a`touch PWNED`", "a;touch PWNED", "a\\"),
)
FIELDS = {
    "name": '"hv1"',
    "disk": '"sda"',
    "console": '"com2=57600"',
    "dom0_mem": '"1G,max:2G"',
    "peer": '"10.78.0.99"',
    "address": '"10.77.0.11"',
    "unit": '"cron"',
    "package": '"lldpd"',
    "password": '"$6$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56"',
    "key": '"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3y/jDgk6ZriPVJsP/QxF+RsM7pcuGQFZJ/e9NBFYgT it\'s me"',
    "link": "fe0]",
    "mac": '"00:14:4f:00:00:01"',
}


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("field", FIELDS)
def test_a_value_of_a_host_file_never_becomes_more(field: str, evil: str, tmp_path: Path) -> None:
    quoted = json.dumps(evil)  # a basic string of TOML
    assert FIELDS[field] in HV1
    text = HV1.replace(FIELDS[field], f"{quoted}]" if field == "link" else quoted, 1)
    try:
        host = from_toml(text, "hv1.toml")
        files = Debian().texts(host, CTX)
    except (HostError, ArgumentError):
        return
    rendered = [text for _, text in overlay(host).values()]
    # The one place of a line of its own is a quoted word of a script, which the shell below reads back.
    assert not [line for text in rendered for line in text.splitlines() if line.startswith("EVIL")]
    head = files["install"].decode().partition("# The install proper")[0]
    run = subprocess.run(
        ["dash", "-c", head + 'printf "%s|" "$HOST" "$DISKS" "$PASSWORD_HASH" "$PACKAGES"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split("|")[:-1] == [
        host.name,
        " ".join(host.root_mirror),
        host.root_password_hash,
        " ".join(host.packages),
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["base", "boot_urls", "report_urls", "mac"])
@pytest.mark.parametrize("evil", [evil for evil in EVIL if evil != "a,b"])  # a letter like others on this line
def test_what_the_server_adds_is_one_word_or_refused(field: str, evil: str) -> None:
    value: Any = (evil,) if field.endswith("s") else evil
    ctx: BootContext = CTX._replace(**{field: value})
    entry = None
    with pytest.raises(ArgumentError, match="boot line"):
        entry = Debian().entry(from_toml(HV1, "hv1.toml"), ctx)
    assert entry is None
