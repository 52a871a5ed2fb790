"""Hosts of Xen without Xen: a stand-in for ssh, and for what it finds there, xl and iscsiadm.

Built from what Xen 4.17 on Debian prints (recorded from the nested hosts of `make test-xen`, which runs the same
scripts against the real ones) and from xl(1) and iscsiadm(8). State is kept in files below `ROOT/<host>`, so that it
outlives every program, as the real one does.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from guests.xl import XlHypervisor
from guests.xl_files import XlSettings

HOSTS = ("hv1", "hv2")
PROGRAM = """#!{python}
import json, os, re, subprocess, sys
from pathlib import Path

HERE = Path(os.environ.get("XL_HOST", "/nowhere"))
TOTAL_MIB, DOM0_MIB = 4096, 512


def domains():
    return json.loads((HERE / "running").read_text()) if (HERE / "running").exists() else {{}}


def keep(found):
    (HERE / "running").write_text(json.dumps(found))


def fail(words, code=1):
    print(words, file=sys.stderr)
    raise SystemExit(code)


def sessions():
    return set((HERE / "sessions").read_text().split()) if (HERE / "sessions").exists() else set()


def set_sessions(found):
    (HERE / "sessions").write_text(" ".join(sorted(found)))


def let_in(iqn):
    return iqn in (HERE.parent / "exported").read_text().split()


def free_mib():
    return TOTAL_MIB - DOM0_MIB - sum(one["memory"] for one in domains().values())


def target(config, key):
    return re.search(key + r"=([^,]+)", config["disk"][0])[1]


def bring_up(config):
    name, iqn = config["name"], target(config, "iqn")
    if name in domains():
        fail("libxl: error: libxl_create.c:1: Domain with name '" + name + "' already exists")
    if config["memory"] > free_mib():
        fail("libxl: error: libxl_create.c:2: failed to free memory for the domain")
    script = HERE / "etc" / "scripts" / target(config, "script")
    where = "libxl: error: libxl_exec.c:117: Domain 2:" + str(script) + " add [9] exited with error status 1\\n"
    if not os.access(script, os.X_OK) or iqn in sessions():
        fail(where)
    set_sessions(sessions() | {{iqn}})
    if not let_in(iqn):  # the hotplug script logs out; a crash of it would not, so the stand-in does not
        fail(where + "libxl: error: libxl_device.c:1269: Domain 2:script: iSCSI: 1.2.3.4 does not let us log in")
    for vif in config["vif"]:
        bridge = re.search(r"bridge=([^,]+)", vif)[1]
        if not (HERE / "net" / bridge / "bridge").is_dir():
            fail("libxl: error: libxl_device.c:1: script: Could not find bridge device " + bridge)
    keep(domains() | {{name: config}})


def read(path):
    config = {{}}
    exec(Path(path).read_text(), {{}}, config)
    return config


def named(name):
    found = domains()
    if name not in found:
        fail(name + " is an invalid domain identifier (rc=-6)")
    return found


def tear_down(name):
    found = named(name)
    config = found.pop(name)
    keep(found)
    set_sessions(sessions() - {{target(config, "iqn")}})
    return config


def nic(vif):
    parts = dict(part.split("=") for part in vif.split(","))
    return {{"devid": 0, "mac": parts["mac"], "bridge": parts["bridge"]}}


def long():
    rows = [{{"domid": 0, "config": {{"c_info": {{"type": "pv", "name": "Domain-0"}}, "b_info": {{}}}}}}]
    for number, (name, one) in enumerate(domains().items(), 1):
        disk = {{"pdev_path": one["disk"][0].partition("target=")[2], "vdev": "xvda"}}
        build = {{"max_vcpus": one["vcpus"], "max_memkb": one["memory"] * 1024}}
        create = {{"type": one["type"], "name": name, "uuid": one["uuid"]}}
        config = {{"c_info": create, "b_info": build, "disks": [disk], "nics": [nic(vif) for vif in one["vif"]]}}
        rows.append({{"domid": number, "config": config}})
    print(json.dumps(rows, indent=4) + "\\n")


def xl(verb, *rest):
    if verb == "info":
        caps = (HERE / "caps").read_text()
        print(f"host                   : x\\nnr_cpus                : 4\\nvirt_caps              : {{caps}}")
        print(f"total_memory           : {{TOTAL_MIB}}\\nfree_memory            : {{free_mib()}}")
        print("xen_version            : 4.17.7")
    elif verb == "list" and rest == ("-l",):
        long()
    elif verb == "list":
        print("Name                                        ID   Mem VCPUs\\tState\\tTime(s)")
        print("Domain-0                                     0   500     1     r-----      59.2")
        for number, (name, one) in enumerate(domains().items(), 1):
            print(f"{{name:40}} {{number:5}} {{one['memory']:5}} {{one['vcpus']:5}}     -b----      0.1")
    elif verb == "create":
        bring_up(read(rest[0]))
    elif verb in ("destroy", "shutdown"):
        tear_down(rest[-1])
    elif verb == "save":
        Path(rest[1]).write_text(json.dumps(tear_down(rest[0])) + " " * 100_000)
    elif verb == "restore":
        if (HERE / "broken").exists():
            fail("libxl: error: libxl_create.c:3: Domain 3:cannot restore")
        bring_up(json.loads(Path(rest[0]).read_text()))
    elif verb == "migrate":
        there = HERE.parent / rest[1]
        here = named(rest[0])[rest[0]]
        done = subprocess.run([sys.argv[0], "restore", "/dev/stdin"], input=json.dumps(here), text=True,
                              env=os.environ | {{"XL_HOST": str(there)}})
        if done.returncode:
            fail("migration target: Domain creation failed (code -3).\\nMigration failed, resuming at sender.")
        tear_down(rest[0])
    elif verb == "console":
        print("console of", named(rest[0])[rest[0]]["name"])
    else:
        fail("the stand-in knows no xl " + verb, 64)


def iscsiadm(*words):
    if words[:2] == ("-m", "session"):
        for iqn in sessions():
            print(f"tcp: [1] 127.0.0.1:3260,1 {{iqn}} (non-flash)")
        raise SystemExit(0 if sessions() else 21)
    if words[:2] == ("-m", "discovery"):
        for iqn in (HERE.parent / "exported").read_text().split():
            print(f"127.0.0.1:3260,1 {{iqn}}")
    elif "--logout" in words:
        set_sessions(sessions() - {{words[words.index("-T") + 1]}})


def ssh(*words):
    words = list(words)
    if words[0] == "-t":
        words.pop(0)
    while words[0] in ("-o", "-F", "-p"):
        del words[:2]
    host = words[0].partition("@")[2]
    home = Path(sys.argv[0]).parent / host
    if not home.is_dir():
        fail(f"ssh: connect to host {{host}} port 22: No route to host", 255)
    os.execvpe("sh", ["sh", "-c", " ".join(words[1:])], os.environ | {{"XL_HOST": str(home)}})


globals()[Path(sys.argv[0]).name](*sys.argv[1:])
"""


def lay(root: Path, caps: str = "pv hvm hap shadow") -> None:
    """The programs, and two hosts with the bridges fe0 and be0."""
    for name in ("ssh", "xl", "iscsiadm"):
        path = root / name
        path.write_text(PROGRAM.format(python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (root / "exported").write_text("")
    for host in HOSTS:
        for link in ("fe0", "be0"):
            (root / host / "net" / link / "bridge").mkdir(parents=True)
        (root / host / "net" / "eth0").mkdir()
        (root / host / "etc").mkdir()
        (root / host / "save").mkdir()
        (root / host / "caps").write_text(caps)


def two_hosts(root: Path, templates: Path | None = None) -> tuple[XlHypervisor, XlHypervisor]:
    """The adapter for both."""
    one, two = (_host(root, name, templates) for name in HOSTS)
    return one, two


def _host(root: Path, name: str, templates: Path | None) -> XlHypervisor:
    where = {kind: str(root / name / place) for kind, place in (("directory", "etc"), ("save", "save"), ("net", "net"))}
    return XlHypervisor(XlSettings(name, f"ssh://root@{name}", f"iqn.2026-11.test:{name}", name, templates, **where))


def path_with(root: Path) -> str:
    """PATH with the programs first."""
    return f"{root}:{os.environ['PATH']}"
