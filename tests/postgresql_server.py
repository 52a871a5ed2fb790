"""A PostgreSQL server of our own: in a temporary directory, on a socket in it, with no door to the network.

Small and quick to start, but what makes a commit durable is as on a real one. PostgreSQL refuses to run as root, so
root starts it as the account `postgres`, anybody else as himself.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "fsync": "on",
    "deadlock_timeout": "100ms",
}
SLOW_MACHINE_S = 60


def programs() -> Path | None:
    """The directory of PostgreSQL's programs, the newest there is; None if it is not installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Server:
    """One server, started; its superuser is `postgres`, whom everybody who reaches the socket may be."""

    def __init__(self, bin_dir: Path) -> None:
        self._bin = bin_dir
        self._account = "postgres" if os.geteuid() == 0 else None
        self.root = Path(tempfile.mkdtemp(prefix="twinboot-postgresql."))
        self.root.chmod(0o755)
        if self._account:
            shutil.chown(self.root, self._account, self._account)
        made = "--no-sync --auth=trust --encoding=UTF8 --locale=C --username=postgres"
        self._run("initdb", "-D", str(self.root / "data"), *made.split())
        self.start()

    @property
    def conninfo(self) -> str:
        """Connection string of the database `postgres`."""
        return f"host={self.root} dbname=postgres user=postgres"

    def start(self, **settings: str) -> None:
        """Start, with other settings for this once."""
        options = {"unix_socket_directories": str(self.root), **SETTINGS, **settings}
        text = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = str(self.root / "log")
        self._run("pg_ctl", "-D", str(self.root / "data"), "-w", "-l", log, "-o", text, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop: `fast` in good order, `immediate` as in a power cut."""
        self._run("pg_ctl", "-D", str(self.root / "data"), "-w", "-m", how, "stop")

    def remove(self) -> None:
        """Stop and leave nothing."""
        self.stop("immediate")
        shutil.rmtree(self.root)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self.root,
            user=self._account,
            group=self._account,
            extra_groups=[] if self._account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=SLOW_MACHINE_S,
            check=False,
        )
        if done.returncode:
            log = self.root / "log"
            raise RuntimeError(f"{program}: {done.stdout!r} {log.read_text() if log.exists() else ''}")
