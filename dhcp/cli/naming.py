"""The host names of bindings, as `pntadm -h` and `-D -y` keep them: in hosts(5), once the binding is stored.

With another HOSTS_RESOURCE than files the binding is changed all the same and the exit code is 3, as with Sun.
"""

from collections.abc import Callable

from dhcp.cli import hostsfile
from dhcp.cli.common import CommandError, Exit, Options, conf_key
from storage.records import ipv4_text

After = Callable[[], None]
"""What is left to do once the store is done with: host names, which need the rights of the person."""


def naming(options: Options, new: int, old: int) -> After | None:
    """What `-h` asks for, checked before anything is stored. ValueError, CommandError."""
    name = options.get("h")
    if name is None:
        return None
    hostsfile.check_name(name)
    holder = hostsfile.owner_of(name)
    if holder not in ("", ipv4_text(new), ipv4_text(old)):
        raise CommandError(f"{name} is the name of {holder} in {hostsfile.HOSTS_FILE}: choose another", Exit.EXISTS)
    return _later(options, lambda: hostsfile.set_name(new, name, old))


def unnaming(options: Options, address: int) -> After | None:
    """What `-y` asks for with `-D`."""
    return _later(options, lambda: hostsfile.remove(address)) if "y" in options else None


def _later(options: Options, names: Callable[[], None]) -> After:
    """Keep host names, if the configuration says that this is how they are kept. CommandError (exit 3) if not."""

    def act() -> None:
        if conf_key(options, "HOSTS_RESOURCE") != "files":
            raise CommandError(
                "Warning - No hosts resource value found in DHCP configuration file: the binding is changed, "
                "host names are not: set HOSTS_RESOURCE=files",
                Exit.NON_CRITICAL,
            )
        try:
            names()
        except OSError as error:
            why = f"{hostsfile.HOSTS_FILE}: {error.strerror}"
            raise CommandError(
                f"{why}: the binding is changed, host names are not: edit the file", Exit.NON_CRITICAL
            ) from error

    return act
