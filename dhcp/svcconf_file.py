"""The file dhcpsvc.conf: read whole, replaced whole."""

from pathlib import Path

from dhcp.svcconf import ConfError, ConfFault, ServiceConf, check
from storage.records import durable

CONF_MAX_BYTES = 64 * 1024  # Sun's own files have a few hundred bytes


def read_text(path: str | Path) -> str:
    """Return the text of a configuration file. ConfError when it cannot be read, is too long or is not UTF-8."""
    try:
        with open(path, "rb") as file:
            data = file.read(CONF_MAX_BYTES + 1)
        if len(data) > CONF_MAX_BYTES:
            raise ConfError([ConfFault(str(path), "", f"longer than {CONF_MAX_BYTES} bytes, not a dhcpsvc.conf")])
        return data.decode()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); `twinboot init` writes it"
        raise ConfError([ConfFault(str(path), "", reason)]) from error
    except UnicodeDecodeError as error:
        raise ConfError([ConfFault(str(path), "", f"byte {error.start} is not UTF-8 text")]) from error


def load(path: str | Path) -> ServiceConf:
    """Read and check a configuration file. ConfError carries every fault."""
    return check(read_text(path), str(path))


def write(path: str | Path, text: str) -> None:
    """Put `text` in place of the file in one step, durably. OSError as the file system gives it."""
    durable.replace(path, text.encode())
