"""The optional compiled build: what runs for each packet, as C extensions made by mypyc from the same sources.

    HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 pip install .

Without the variable nothing of this is asked for, and the package is pure Python. The modules are those that the table
`tool.hatch.build.targets.wheel.hooks.custom` of pyproject.toml lists: they are compiled together, because a call from
one to another is cheap only within one extension. Everything is made in a directory of its own: a source tree that had
extensions beside its modules would run them unasked for, and old ones after the next edit.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

words = ["--config-file=", "--ignore-missing-imports", "--cache-dir=/dev/null", *{modules!r}]
setup(name="twinboot", py_modules=[], ext_modules=mypycify(words, target_dir={target!r}, opt_level="3"))
"""


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles, and puts the extensions into the wheel beside their modules."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it gathers the files of a wheel; an editable one runs its sources as they are."""
        if version == "editable":
            return
        self._place = tempfile.TemporaryDirectory(prefix="twinboot-compiled-")
        built = self._compile(Path(self._place.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update({str(path): str(name) for name, path in built.items()})

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Called when the wheel is written."""
        if version != "editable":
            self._place.cleanup()

    def _compile(self, place: Path) -> dict[Path, Path]:
        """Compile in `place`; the extensions by their names in the wheel."""
        (place / "lib").mkdir()
        script = place / "setup.py"
        script.write_text(SETUP.format(modules=self.config["modules"], target=str(place / "c")))
        command = [
            sys.executable,
            str(script),
            "build_ext",
            "--build-lib",
            str(place / "lib"),
            "--build-temp",
            str(place),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        built = {path.relative_to(place / "lib"): path for path in (place / "lib").rglob("*.so")}
        if done.returncode or not built:
            told = (done.stdout + done.stderr).strip()[-3000:]
            raise RuntimeError(
                f"the modules could not be compiled (are gcc and Python's headers, python3-dev, installed?):\n{told}"
            )
        return built
