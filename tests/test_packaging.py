"""What is shipped is whole: the wheel, the pins, the declared imports, the two commands, the documents."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

FLOORS = ("agent", "env", "memory", "policies")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/figures.md",
    "docs/memory.md",
    "docs/lab-notes.md",
    "docs/learners.md",
    "policies/seed/README.md",
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
PLOTS = [Requirement(line) for line in PROJECT["optional-dependencies"]["plots"]]
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def shipped_files() -> list[Path]:
    """Every file of the four floors, relative to the root; caches, hidden files and logs are not ours."""
    found = []
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*")):
            parts = path.relative_to(ROOT).parts
            ours = not any(part == "__pycache__" or part.startswith(".") for part in parts)
            if path.is_file() and ours and path.suffix not in {".pyc", ".log"}:
                found.append(path.relative_to(ROOT))
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as `pip install .` would build it, from a copy of the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for path in [*shipped_files(), Path("pyproject.toml"), Path("README.md"), Path("LICENSE")]:
        (tree / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tree / path)
    code = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    built = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=tree, capture_output=True, text=True, timeout=240
    )
    assert built.returncode == 0, built.stderr[-2000:]
    return zipfile.ZipFile(next(out.glob("attune-*.whl")))


def test_the_wheel_carries_every_file(wheel: zipfile.ZipFile) -> None:
    expected = {path.as_posix() for path in shipped_files()}
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert expected - shipped == set(), "add the suffix to [tool.setuptools.package-data]"
    assert shipped - expected == set()


def test_the_wheel_has_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    names = {name.split(".dist-info/")[1]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "attune = agent.cli:main" in wheel.read(names["entry_points.txt"]).decode()
    licence = wheel.read(names["licenses/LICENSE"]).decode()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_every_folder_with_code_is_a_regular_package() -> None:
    """A namespace package called `env` would merge with any folder of that name on the path, and
    import-linter does not look into namespace packages below a floor."""
    folders = {ROOT / path.parent for path in shipped_files() if path.suffix == ".py"}
    assert {floor for floor in FLOORS if ROOT / floor not in folders} == set()
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("requirement", RUNTIME + DEV, ids=lambda requirement: requirement.name)
def test_every_declared_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pin = pins()[canonicalize_name(requirement.name)]
    (version,) = [specifier.version for specifier in pin.specifier]
    assert requirement.specifier.contains(version)


def test_every_pin_is_a_plain_version() -> None:
    """No address, path or local build tag: any index and any build of the version will do."""
    for pin in pins().values():
        assert pin.url is None
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert "+" not in specifier.version


def test_torch_is_capped() -> None:
    (torch,) = [requirement for requirement in RUNTIME if requirement.name == "torch"]
    assert torch.specifier.contains("2.13.0")
    assert not torch.specifier.contains("2.14.0")


def test_every_import_is_declared() -> None:
    distributions = packages_distributions()
    # what is not installed has no distribution to ask; it goes by its own name
    declared = {canonicalize_name(requirement.name) for requirement in RUNTIME + PLOTS}
    undeclared = set()
    for path in [path for path in shipped_files() if path.suffix == ".py"]:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in {name.split(".")[0] for name in modules}:
                if module in sys.stdlib_module_names or module in FLOORS:
                    continue
                owners = {canonicalize_name(owner) for owner in distributions.get(module, [module])}
                if not owners & declared:
                    undeclared.add(f"{path}: {module}")
    assert undeclared == set()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("document", [*DOCUMENTS, ".ci/run"])
def test_documented_make_targets_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^ {4}|`|step )make ([a-z]+)", text, re.MULTILINE))
    assert named - targets() == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_files_exist(document: str) -> None:
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link}
    rooms = set(re.findall(rf"`((?:{'|'.join(FLOORS)}|tests|docs)/[\w./-]*)`", text))
    missing = {link for link in links if not (path.parent / link).exists()}
    missing |= {room for room in rooms if not (ROOT / room).exists()}
    assert missing == set()


def documented_commands(document: str) -> set[str]:
    """Every `attune …` of a code block or between backticks, without what stands after a comment sign."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(r"^ {4}(attune [^#\n]+)|`(attune [^`\n]+)`", text, re.MULTILINE)
    return {(block or quoted).strip() for block, quoted in found}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands_exist(document: str) -> None:
    """Each names commands and options that the command line has; nothing is run."""
    from typer.main import get_command

    from agent.cli.app import app

    for line in documented_commands(document):
        command: Any = get_command(app)
        words = shlex.split(line)[1:]
        while words:
            word = words.pop(0)
            if word.startswith("-"):
                known = {name: parameter for parameter in command.params for name in parameter.opts}
                assert word in known, line
                if not known[word].is_flag:
                    words.pop(0)
            elif hasattr(command, "commands"):
                assert word in command.commands, line
                command = command.commands[word]


def test_the_documents_name_commands_at_all() -> None:
    """Else the test above would pass on nothing."""
    named = {document: documented_commands(document) for document in DOCUMENTS}
    assert len(named["README.md"]) > 10
    assert len(named["docs/figures.md"]) >= 4


def test_the_changelog_names_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {PROJECT['version']}" in changelog


def test_ci_can_be_executed() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


FAKE_PYTHON = """#!/bin/sh
echo "$@" >> calls.txt
if [ "$2" = venv ]; then mkdir -p .venv/bin; cp "$0" .venv/bin/python; fi
[ -d .venv/bin ] || exit 0
for tool in attune pytest; do
  printf '#!/bin/sh\\necho %s "$@"\\n' $tool > .venv/bin/$tool
  chmod +x .venv/bin/$tool
done
"""


class Checkout:
    """A folder with the Makefile and a Python that writes down how it is called instead of doing it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        self.set_python(FAKE_PYTHON)

    def set_python(self, script: str) -> None:
        path = self.folder / "fake-python"
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "ARGS"))
        }
        return subprocess.run(
            ["make", "PYTHON=./fake-python", *arguments],
            cwd=self.folder,
            env=clean,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, start: str) -> list[str]:
        lines = (self.folder / "calls.txt").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith(start)]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    return Checkout(folder)


def test_make_chat_installs_once_and_opens(checkout: Checkout) -> None:
    first = checkout.make("chat", "ARGS=--model tiny")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1] == "attune --model tiny"
    assert checkout.calls("-m pip") == ["-m pip install -c constraints.txt -e ."]
    second = checkout.make("chat")
    assert second.stdout.splitlines() == ["attune"]
    assert len(checkout.calls("-m pip")) == 1


def test_make_test_installs_the_extra_once_and_that_is_enough_for_chat(checkout: Checkout) -> None:
    assert checkout.make("test").stdout.splitlines()[-1] == "pytest -n auto --dist worksteal"
    checkout.make("test")
    checkout.make("chat")
    assert checkout.calls("-m pip") == ["-m pip install -c constraints.txt -e .[dev]"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_make_installs_again_when_the_dependencies_change(checkout: Checkout, name: str) -> None:
    checkout.make("install")
    stamp = checkout.folder / ".venv" / ".attune-installed"
    newer = stamp.stat().st_mtime + 10
    os.utime(checkout.folder / name, (newer, newer))
    checkout.make("install")
    assert len(checkout.calls("-m pip")) == 2


def test_make_starts_afresh_in_a_folder_that_was_moved(checkout: Checkout, tmp_path: Path) -> None:
    checkout.make("install")
    checkout.folder = checkout.folder.rename(tmp_path / "moved")
    assert checkout.make("install").returncode == 0
    assert checkout.calls("-m venv") == ["-m venv --clear .venv"] * 2
    assert len(checkout.calls("-m pip")) == 2


def test_make_leaves_an_environment_of_your_own_alone(checkout: Checkout) -> None:
    tools = checkout.folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    shutil.copy(checkout.folder / "fake-python", tools / "python")
    assert checkout.make("install").returncode == 0
    assert checkout.calls("-m venv") == []
    assert len(checkout.calls("-m pip")) == 1


def test_make_says_what_to_do_about_an_old_python(checkout: Checkout) -> None:
    checkout.set_python("#!/bin/sh\nexit 1\n")
    refused = checkout.make("install")
    assert refused.returncode != 0
    assert "Attune needs Python 3.11 or newer" in refused.stderr
    assert "make install PYTHON=" in refused.stderr
    assert not (checkout.folder / ".venv").exists()
