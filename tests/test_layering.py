"""The house's rules as tests: who may import whom, what pure modules must not touch, how long things may get."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("dhcp", "pxe", "jumpstart", "storage", "guests", "twinboot")

MAY_IMPORT = {
    "storage": set(),
    "jumpstart": set(),
    "dhcp": {"storage.records"},
    "pxe": {"storage.records", "jumpstart"},
    "guests": {"storage.records", "storage.volumes"},
    "twinboot": {"storage", "jumpstart", "dhcp", "pxe", "guests"},
}
"""Room -> the prefixes of other rooms that it may import. dhcp, pxe and guests meet in the records only."""

PURE = {
    "dhcp": (
        *("packet", "wire", "options", "option_text", "symbols", "macros", "macrotext", "names", "networks", "view"),
        *("heard", "decision", "asking", "engine", "answers", "bootp", "leasequery", "reply", "route", "frame"),
        *("probes", "relay", "world", "form", "freeset", "leasequeue", "available", "offering", "granting"),
        *("svcconf", "svcconf_keys", "verbatim"),
    ),
    "pxe": ("content", "tftp_wire", "tftp_transfer", "tftp_options", "firmware", "bootplan", "ranges"),
    "jumpstart": (
        *(
            "model",
            "values",
            "hostfile",
            "targets/port",
            "targets/live_xen",
            "targets/nevada",
            "targets/nevada_hooks",
            "targets/debian",
            "targets/debian_networks",
            "targets/debian_overlay",
            "targets/debian_tar",
            "quoting",
        ),
        *(f"language/{name}" for name in ("faults", "words", "shapes", "grammar", "keywords", "questions")),
        *(f"language/{name}" for name in ("rules", "profile", "sysidcfg", "okfile", "encode", "matching")),
        *(f"language/{name}" for name in ("judge", "judge_rules", "judge_profile", "judge_sysidcfg", "software")),
    ),
    "guests": (
        *("domain", "faults", "guest", "site", "placement", "addresses", "actions", "plan", "plans", "steps"),
        *("fsck", "masters", "news"),
        *("domainxml", "render", "virsh_text", "libvirt_settings", "xl_text", "xl_render"),
    ),
    "storage": (
        *("records/rows", "records/port", "records/codec"),
        *("records/postgresql_rows", "records/postgresql_schema", "records/postgresql_batch"),
        *("volumes/names", "volumes/port", "volumes/judge", "volumes/masking", "volumes/forecast", "volumes/settings"),
        *("volumes/command", "volumes/zfs_datasets", "volumes/zfs_lio", "volumes/zfs_comstar", "volumes/zfssa_model"),
        *("volumes/zfssa_script", "volumes/zfssa_javascript", "volumes/zfssa_answer"),
        *("records/twinlog_names", "records/twinlog_text", "records/twinlog_state", "records/twinlog_draft"),
        *("records/twinlog_turns", "records/twinlog_publish"),
    ),
    "twinboot": (
        "explain",
        "sentences",
        "dnsguard",
        "dnsanswer",
        "dnsrecords",
        "names",
        "leases",
        "lab/view",
        "peerfacts",
        "peerjudge",
        "peermounts",
        "peerstory",
        "volumetext",
    ),
}
"""Values and decisions: no clock, no sockets, no files, no processes, no randomness."""

IMPURE_MODULES = {
    "os",
    "time",
    "random",
    "secrets",
    "subprocess",
    "select",
    "asyncio",
    "threading",
    "aiohttp",
}
IMPURE_FROM_SOCKET = {"socket", "create_connection", "create_server"}
IMPURE_CALLS = {"open", "input", "print"}

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(room: str, name: str) -> bool:
    top = name.split(".", maxsplit=1)[0]
    if top not in ROOMS or top == room:
        return True
    return any(name == prefix or name.startswith(prefix + ".") for prefix in MAY_IMPORT[room]) or any(
        prefix.startswith(name + ".") for prefix in MAY_IMPORT[room]
    )


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_dependencies_point_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    wrong = sorted({name for name in imports(ast.parse(path.read_text())) if not allowed(room, name)})
    assert not wrong, f"{room} must not import {', '.join(wrong)}"


def pure_modules() -> Iterator[Path]:
    for room, names in PURE.items():
        yield from (ROOT / room / f"{name}.py" for name in names)


@pytest.mark.parametrize("path", list(pure_modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_values_and_decisions_are_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    touched = {name for name in imports(tree) if name.split(".")[0] in IMPURE_MODULES}
    touched |= {f"socket.{name}" for name in IMPURE_FROM_SOCKET if f"socket.{name}" in set(imports(tree))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            touched.add(node.func.id + "()")
    assert not touched, f"a pure module uses {', '.join(sorted(touched))}"


def readable_modules() -> Iterator[Path]:
    yield from modules()
    for folder in ("tests", "benchmarks"):
        yield from sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", list(readable_modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX, "split this file"
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, f"split {', '.join(long)}"


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module begins with a docstring that states its rules"


def compiled_modules() -> list[str]:
    """The modules of the compiled build."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    modules: list[str] = build["targets"]["wheel"]["hooks"]["custom"]["modules"]
    return modules


@pytest.mark.parametrize("name", compiled_modules())
def test_compiled_functions_give_a_caught_exception_one_type(name: str) -> None:
    """mypyc types a variable once: `except A as error ... except B as error` would raise TypeError where B comes."""
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        if isinstance(node, ast.FunctionDef):
            handlers = [one for one in ast.walk(node) if isinstance(one, ast.ExceptHandler) and one.name]
            kinds = {(one.name, ast.unparse(one.type)) for one in handlers if one.type is not None}
            assert len({word for word, _ in kinds}) == len(kinds), f"{node.name}: name its exceptions apart"
