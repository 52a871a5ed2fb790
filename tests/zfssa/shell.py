"""A stand-in for the appliance's command line: an `ssh` whose far end runs our programs in a real ECMAScript engine.

No such machine is to be had. The engine is QuickJS without what ECMAScript 3 did not have; the contexts, properties and
commands are as the administration guide documents them, over the same state as the REST stand-in has, so that both
transports see one appliance. It is strict: commands and properties that a context does not have, names that are not
there, leaving what is not committed, and `destroy` without `confirm` are refused; `confirm destroy` takes with it
whatever is inside, as the appliance's does. Numbers of error codes are invented, because no guide lists them.
"""

import json
import os
import re
import socketserver
import sys
import threading
from pathlib import Path

import quickjs

from tests.zfssa.looking import NOT_FOUND
from tests.zfssa.server import USER, Appliance
from tests.zfssa.session import Session

PRELUDE = f"""
var EAKSH_ENTITY_NOTFOUND = {NOT_FOUND};
(function (all, parse, dump) {{
  var names = ['run', 'get', 'set', 'list', 'choices', 'printf'];
  for (var i = 0; i < names.length; i++) (function (name) {{
    all[name] = function () {{
      var given = [];
      for (var j = 0; j < arguments.length; j++) given.push(arguments[j]);
      var answer = parse(builtin(name, dump(given)));
      if (answer.error) throw answer.error;
      return answer.value;
    }};
  }})(names[i]);
  var later = ['indexOf', 'forEach', 'map', 'filter', 'some', 'every', 'reduce', 'includes', 'find'];
  for (i = 0; i < later.length; i++) delete Array.prototype[later[i]];
  delete String.prototype.trim; delete String.prototype.includes; delete Object.keys; delete all.JSON;
}})(this, JSON.parse, JSON.stringify);
"""
LATER_SYNTAX = re.compile(r"\b(let|const|class|=>)\b|=>|`")
RUNS_BEFORE_A_MOVE = 4
"""Three choose the pool; then a program begins what it is for."""

CLIENT = """#!{python} -IS
import json, socket, sys
far = socket.socket(socket.AF_UNIX)
far.connect({path!r})
far.sendall(json.dumps([sys.argv[1:], sys.stdin.read()]).encode() + b"\\n")
out, err, code = json.loads(far.makefile().read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class Shell:
    """Where the `ssh` of `path` leads to: the heads `head-0` and `head-1` of the appliance."""

    names = ("head-0", "head-1:22")

    def __init__(self, appliance: Appliance, place: Path) -> None:
        self.appliance = appliance
        self.calls: list[list[str]] = []
        self.programs: list[str] = []
        self.left: list[str] = []
        """What was left uncommitted at the end of a run."""
        self.iscsi_first = True
        """The order of words: `san iscsi targets`, else `san targets iscsi`."""
        self.offers_pools = True
        """Whether `choices` answers."""
        self.path = place / "bin"
        self.path.mkdir(exist_ok=True)
        socket = str(place / "appliance.sock")
        (self.path / "ssh").write_text(CLIENT.format(python=sys.executable, path=socket))
        (self.path / "ssh").chmod(0o755)
        self._server = socketserver.ThreadingUnixStreamServer(socket, type("Far", (Far,), {"shell": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def search_path(self) -> str:
        return f"{self.path}:{os.environ['PATH']}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, argv: list[str], text: str) -> tuple[str, str, int]:
        """What ssh prints, complains of and ends with."""
        self.calls.append(argv)
        self.programs.append(text)
        assert argv[0] == "-T"
        assert "BatchMode=yes" in argv
        user, _, host = argv[-1].partition("@")
        number, appliance = int(host.removeprefix("head-")), self.appliance
        comment = re.search(r"/\* (.*?) \*/", text)
        what = comment[1] if comment else ""
        appliance.asked.append((number, "SSH", what))
        fault = appliance.fault("SSH", what) if appliance.heads[number].alive else "cut"
        if fault == "cut":
            return "", f"ssh: connect to host {host} port 22: Connection refused", 255
        if fault == "unknown" or user != USER:
            return "", f"{argv[-1]}: Permission denied (publickey).", 255
        if fault == "away":
            appliance.takeover()
        printed, complaint = self.session(number, text, moves=fault == "during")
        if fault == "takeover":
            appliance.takeover()
        if fault in ("lost", "takeover"):
            return "", "Connection to head closed by remote host.", 255
        return (printed[: len(printed) // 2], complaint, 0) if fault == "half" else (printed, complaint, 0)

    def session(self, number: int, text: str, *, moves: bool) -> tuple[str, str]:
        lines = text.split("\n")
        assert lines[0] == "script"
        body = "\n".join(lines[1 : lines.index(".")])
        assert lines[lines.index(".") + 1 :] == [""]
        assert not LATER_SYNTAX.search(body)
        session = Session(
            self.appliance,
            number,
            RUNS_BEFORE_A_MOVE if moves else None,
            iscsi_first=self.iscsi_first,
            offers_pools=self.offers_pools,
        )
        engine = quickjs.Context()
        engine.set_memory_limit(64 << 20)
        engine.add_callable("builtin", session.builtin)
        engine.eval(PRELUDE)
        try:
            engine.eval(body)
            complaint = ""
        except quickjs.JSException as error:
            complaint = f"error: {error}"
        if session.draft is not None:
            self.left.append(body)
        return "".join(session.printed), complaint


class Far(socketserver.StreamRequestHandler):
    shell: Shell

    def handle(self) -> None:
        argv, text = json.loads(self.rfile.readline())
        with self.shell.appliance.lock:
            answer = self.shell.answer(argv, text)
        self.wfile.write(json.dumps(answer).encode())
