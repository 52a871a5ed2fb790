"""`twinboot init`: a new server by at most five answers, or by none."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from twinboot import answers as setup
from twinboot.cli import App, pass_app
from twinboot.config import DEFAULT_PATH, config_path, default_user, load
from twinboot.faults import Stop
from twinboot.init import Done, perform
from twinboot.show import say

__all__ = ["init"]

DEFAULT_SHARE = "/srv/twinboot"
DEFAULT_STATE = Path("/var/lib/twinboot")
FILE = click.Path(path_type=Path)


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing: take what is given, and defaults for the rest.")
@click.option(
    "--interface",
    multiple=True,
    metavar="DEVICE",
    help="Device that machines boot from (fe); then that of the backend network (be). Repeat or use commas.",
)
@click.option("--subnet", multiple=True, metavar="NET/LEN", help="Network of each device [default: what it is in].")
@click.option(
    "--range", "pool", multiple=True, metavar="FIRST-LAST", help="Addresses to give out; for both networks, two ranges."
)
@click.option("--share", default="", metavar="DIR", help="Directory that both servers see.")
@click.option("--address", default="", metavar="IP", help="Address machines boot from [default: the device's].")
@click.option("--name", default="", metavar="NAME", help="Name of this server [default: the host name].")
@click.option("--segment", default="odd", show_default=True, metavar="odd|even", help="Physical network segment.")
@click.option("--router", default="", metavar="IP", help="Router to hand out [default: none].")
@click.option("--domain", default="", metavar="NAME", help="DNS domain to answer for and hand out [default: none].")
@click.option(
    "--resource",
    default="",
    metavar="NAME",
    help="Datastore: SUNWfiles or twinlog [default: what the share has; else twinlog on NFS, SUNWfiles elsewhere].",
)
@click.option("--config", "config_file", type=FILE, help=f"File to write [default: {DEFAULT_PATH}].")
@click.option("--dhcpsvc", type=FILE, help="DHCP configuration to write [default: dhcpsvc.conf beside it].")
@click.option(
    "--state", type=FILE, default=DEFAULT_STATE, show_default=True, help="Node-local directory of the journal."
)
@click.option("--user", default="", help="Account of the services [default: twinboot if it exists, else nobody].")
@click.option("--force", is_flag=True, help="Replace configuration files that exist.")
@pass_app
def init(app: App, /, yes: bool, config_file: Path | None, dhcpsvc: Path | None, **given: Any) -> None:
    """Set this server up: write its configuration, and the share's tree, tables and macros; or join a share."""
    force = bool(given.pop("force"))
    config = config_file or config_path(app.config_option)
    lists = {name: ",".join(given[name]) for name in ("interface", "subnet", "pool")}
    asked = _complete({**given, **lists, "state": str(given["state"])}, yes)
    answers = setup.Answers(
        interface=asked["interface"],
        subnet=asked["subnet"],
        range=asked["pool"],
        share=asked["share"],
        name=asked["name"],
        segment=asked["segment"],
        address=asked["address"],
        router=asked["router"],
        domain=asked["domain"],
        resource=asked["resource"],
        config=config,
        dhcpsvc=dhcpsvc or config.with_name("dhcpsvc.conf"),
        state=Path(asked["state"]),
        user=asked["user"] or default_user(),
        force=force,
    )
    done = perform(answers)
    load(config)
    _last_words(answers, done)


def _complete(given: dict[str, str], yes: bool) -> dict[str, str]:
    """Fill in what was not given: by questions, or by defaults with --yes."""
    ready = [one.name for one in setup.usable_interfaces()]

    def want(name: str, question: str, default: str) -> None:
        if not given[name]:
            given[name] = default if yes else click.prompt(question, default=default or None)

    if yes and not given["interface"] and len(ready) != 1:
        raise Stop(f"--interface: which device? Ready are: {', '.join(ready) or 'none'}")
    which = f"Device that machines boot from, or two: public,backend ({', '.join(ready)})"
    want("interface", which, ready[0] if ready else "")
    devices = setup.words(given["interface"])
    want("subnet", "Its network" if len(devices) == 1 else "Their networks", _all(setup.default_subnet, devices))
    want("pool", "Addresses to give out", _all(setup.default_range, setup.words(given["subnet"])))
    want("share", "Directory that both servers see", DEFAULT_SHARE)
    want("name", "Name of this server", platform.node().partition(".")[0].lower())
    return given


def _all(default: Callable[[str], str], words: Iterable[str]) -> str:
    """The default of each, as one answer."""
    return ",".join(filter(None, map(default, words)))


def _last_words(answers: setup.Answers, done: Done) -> None:
    say(f"wrote {answers.config} and {answers.dhcpsvc}")
    if done.joined:
        owners = ", ".join(map(str, done.owners))
        say(f"joined {answers.share}: networks {', '.join(done.networks)}, bindings owned by {owners}")
        say("on the other server, add this server's address to OWNER_IP in its dhcpsvc.conf, and restart it")
    else:
        say(f"made {answers.share} with {done.added} free addresses")
    for network in done.bare:
        say(f"{network} has no addresses to give out yet: pntadm -A ADDRESS {network}")
    option = "" if answers.config == DEFAULT_PATH else f" --config {answers.config}"
    say("next:")
    say(f"  twinboot{option} media build live-xen")
    say(f"  twinboot{option} host add hv1 --mac fe0=00:14:4f:00:00:01")
    say(f"  twinboot{option} install hv1")
    say(f"  twinboot{option} serve")
