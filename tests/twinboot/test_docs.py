from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from twinboot.cli import cli
from twinboot.commands import domu_guests, domu_look
from twinboot.commands.domu_master import domu_master

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"
ELSEWHERE = {"lab"}  # described with the lab itself


def commands(command: click.Command, words: tuple[str, ...] = ("twinboot",)) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if name not in ELSEWHERE:
                found = command.get_command(context, name)
                assert found is not None
                yield from commands(found, (*words, name))


DOMU = [getattr(room, name) for room in (domu_guests, domu_look) for name in room.__all__]
PROGRAMS = [*commands(cli), *commands(domu_master, ("domu-master",)), *((one.name, one) for one in DOMU)]


@pytest.mark.parametrize(("words", "command"), PROGRAMS, ids=str)
def test_every_command_and_option_has_help_and_is_in_the_reference(words: str, command: click.Command) -> None:
    assert command.help, f"{words} has no help"
    text = DOCS.read_text()
    assert f"\n## {words}\n" in text, f"docs/commands.md lacks the section {words}"
    section = text.partition(f"\n## {words}\n")[2].partition("\n## ")[0]
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{words} {option.opts[-1]} has no help"
            assert f"`{option.opts[-1]}`" in section, f"docs/commands.md: {words} lacks {option.opts[-1]}"


def test_the_units_start_what_exists() -> None:
    units = Path(__file__).parents[2] / "packaging" / "systemd"
    assert "twinboot serve --without volumes\n" in (units / "twinboot.service").read_text()
    assert "twinboot serve %i\n" in (units / "twinboot@.service").read_text()
    assert "twinboot serve --ask %i\n" in (units / "twinboot@.service").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("name", ["twinboot.service", "twinboot@.service", "twinboot@volumes.service"])
def test_systemd_finds_nothing_wrong_with_the_units(name: str, tmp_path: Path) -> None:
    for unit in (Path(__file__).parents[2] / "packaging" / "systemd").iterdir():
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/twinboot/bin/twinboot", "/bin/true"))
    unit_name = name.replace("@.", "@dhcp.")
    (tmp_path / unit_name).write_text((tmp_path / name).read_text())
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit_name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
