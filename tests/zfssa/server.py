"""A stand-in for a pair of storage heads: their REST service as the RESTful API guide of the appliance documents it.

No such machine is to be had. Each head is a TLS server of its own; both share one set of pools, LUNs and targets, which
only the owner of a pool shows. It is strict: an unknown property, a missing parent, a wrong status or a name that is
too long are refused as documented. Faults are asked for by tests: 503, sessions that end, a takeover, an answer that
is lost after the work was done, a head that is dead.
"""

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.zfssa.rest import FaultError, demand, san, storage
from tests.zfssa.state import POOL, State

USER, PASSWORD = "twinboot", "a secret of 21 letters"


class Appliance(State):
    """Two heads, `head[0]` and `head[1]`, of one cluster; the first has the pool."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        certificate(place)
        self.ca_file = place / "cert.pem"
        self.faults: list[Callable[[str, str], str]] = []
        """Each is shown a request; `503`, `lost`, `cut` (before anything is done), or empty for no fault."""
        self.asked: list[tuple[int, str, str]] = []
        self.lock = threading.Lock()
        self.heads = [Head(self, number, place) for number in range(2)]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"localhost:{head.port}" for head in self.heads)

    def takeover(self) -> None:
        """The other head takes the pool; all sessions there are new."""
        self.owner = 1 - self.owner
        for head in self.heads:
            head.sessions.clear()

    def fault_once(self, pattern: str, kind: str, count: int = 1) -> None:
        """Let the next `count` requests like `POST .*/luns` meet a fault."""
        left = [count]

        def fault(verb: str, path: str) -> str:
            if left[0] and re.fullmatch(pattern, f"{verb} {path}"):
                left[0] -= 1
                return kind
            return ""

        self.faults.append(fault)

    def stop(self) -> None:
        for head in self.heads:
            head.stop()

    def fault(self, verb: str, path: str) -> str:
        return next((kind for one in self.faults if (kind := one(verb, path))), "")


class Head:
    """One of the two: a TLS server with sessions of its own."""

    def __init__(self, appliance: Appliance, number: int, place: Path) -> None:
        self.appliance = appliance
        self.number = number
        self.sessions: set[str] = set()
        self.alive = True
        handler = type("Handler", (Handler,), {"head": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place / "cert.pem", place / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request, and the fault that a test wants it to meet."""

    head: Head
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as http.server calls them

    def serve(self) -> None:
        appliance = self.head.appliance
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        with appliance.lock:
            appliance.asked.append((self.head.number, self.command, self.path))
            fault = appliance.fault(self.command, self.path) if self.head.alive else "cut"
            if fault == "cut":
                self.close_connection = True
                return
            try:
                if fault == "503":
                    raise FaultError(503, "ERR_BUSY")
                status, answer = self.answer(body)
            except FaultError as error:
                status = error.code
                answer = {"fault": {"message": error.symbol, "details": error.details, "code": error.code}}
            if fault == "lost":
                self.close_connection = True
                return
            if fault == "takeover":
                appliance.takeover()
                self.close_connection = True
                return
            data = json.dumps(answer).encode() if answer is not None else b""
            self.send_response(status)
            if status == 201 and self.path == "/api/access/v1":
                session = f"session-{self.head.number}-{len(appliance.asked)}"
                self.head.sessions.add(session)
                self.send_header("X-Auth-Session", session)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def answer(self, body: Any) -> tuple[int, Any]:
        if self.path == "/api/access/v1":
            known = (self.headers.get("X-Auth-User"), self.headers.get("X-Auth-Key")) == (USER, PASSWORD)
            demand(self.command == "POST" and known, 401, "ERR_UNAUTHORIZED")
            return 201, {"access": {"services": []}}
        demand(self.headers.get("X-Auth-Session") in self.head.sessions, 401, "ERR_UNAUTHORIZED")
        words = [unquote(word) for word in self.path.removeprefix("/api/").split("/")]
        if words == ["system", "v1", "version"]:
            return 200, {"version": {"nodename": f"head{self.head.number}", "asn": f"asn-{self.head.number}"}}
        if words[:3] == ["san", "v1", "iscsi"]:
            return san(self.head.appliance, self.command, words[3:], body)
        demand(words[:3] == ["storage", "v1", "pools"], 404, "ERR_NOT_FOUND")
        is_owner = self.head.appliance.owner == self.head.number
        demand(words[3:4] == [POOL] and is_owner, 404, "ERR_NOT_FOUND", "pool")
        return storage(self.head.appliance, self.command, words[4:], body)


def certificate(place: Path) -> None:
    """A certificate for localhost that vouches for itself."""
    if not (place / "cert.pem").exists():
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(place / "key.pem")]
        argv = ["openssl", "req", "-x509", *key, "-out", str(place / "cert.pem"), "-days", "2", *subject]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
