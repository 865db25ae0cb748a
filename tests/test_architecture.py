"""The house rules, proved from the source: who imports whom, names, sizes. Forbidden calls: test_code_from_data."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import gradtrain
from gradtrain.config.words import ERROR_TYPES
from gradtrain.problems import EXPLANATIONS

PACKAGE = Path(gradtrain.__file__).parent

ROOMS = {
    "problems": (0, "problems"),
    "lazy": (0, "lazy"),
    "registry": (1, "registry"),
    "formula": (1, "formula"),
    "stage": (1.1, "stage"),
    "modules": (1.2, "modules"),
    "rule": (1.2, "rule"),
    "eager": (1.2, "eager"),
    "components": (2, "components"),
    "training": (3, "training"),
    "storage": (3, "storage"),
    "config": (4, "config"),
    "feed": (4.1, "feed"),
    "phases": (4.1, "phases"),
    "assemble": (4.5, "assemble"),
    "flow": (4.6, "flow"),
    "gradients": (4.7, "gradients"),
    "gradcheck": (5, "gradcheck"),
    "diagnostics": (4.8, "diagnostics"),
    "report": (5, "report"),
    "drawing": (5, "drawing"),
    "memory": (4.4, "memory"),
    "nonfinite": (5.2, "nonfinite"),
    "saving": (5.5, "saving"),
    "provenance": (5, "provenance"),
    "run": (6, "run"),
    "start": (6.1, "start"),
    "explain": (6.2, "explain"),
    "diagnose": (6.3, "diagnose"),
    "predict": (6.2, "predict"),
    "prove": (6.2, "prove"),
    "replay": (6.2, "replay"),
    "testing": (6.3, "testing"),
    "sample": (6.2, "sample"),
    "dossier": (6.2, "dossier"),
    "interface": (6.3, "interface"),
    "sweep": (7, "sweep"),
    "cli": (7.5, "cli"),
    "__init__": (8, "the public names"),
    "__main__": (8, "the entry point"),
}
"""Top-level module → its layer and its room. A module imports from its own room and from lower layers."""

KNOWS = {
    "layers": {"activations", "normalizations"},
    "models": {"layers", "activations", "normalizations"},
    "objectives": {"losses", "games", "regularizers", "datasets", "tokenizers"},
    "metrics": {"datasets"},
    "datasets": {"tokenizers"},
}
"""Family → families that it may import; every other family knows nothing of the others."""

CONTRACT_ONLY = {("objectives", "datasets"), ("objectives", "tokenizers"), ("metrics", "datasets")}
"""Of these only the family's `__init__` (its contract) may be imported."""

FORBIDDEN_WORDS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "manager",
    "handler",
    "base",
    "core",
    "common",
    "misc",
}


class Import(NamedTuple):
    path: Path
    line: int
    module: str
    target: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE.parent)}:{self.line}: {self.module} imports {self.target}"


def modules() -> dict[str, Path]:
    """Dotted name → file, for every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without what only a type checker reads (`if TYPE_CHECKING:`)."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from executed(other)
            continue
        yield child
        yield from executed(child)


@functools.cache
def imports() -> tuple[Import, ...]:
    """Every import of one of our modules by another, those inside functions included."""
    known = modules()
    found = []
    for module, path in known.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in executed(tree(path)):
            targets: list[str] = []
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = node.module or ""
                if node.level:
                    above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                    origin = f"{above}.{origin}".rstrip(".")
                inner = [f"{origin}.{alias.name}" for alias in node.names]
                targets = [name if name in known else origin for name in inner]
            found += [
                Import(path, node.lineno, module, target) for target in targets if target in known and target != module
            ]  # type: ignore[attr-defined]
    return tuple(dict.fromkeys(found))


def room(module: str) -> tuple[float, str]:
    parts = module.split(".")
    if module == "gradtrain.components":  # the empty shelf, where the registry looks for families
        return 0, "the shelf"
    return ROOMS[parts[1] if len(parts) > 1 else "__init__"]


def family(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["components"] and len(parts) > 2 else None


def points_up(found: Import) -> bool:
    here, there = room(found.module), room(found.target)
    return here != there and there[0] >= here[0]


def crosses_families(found: Import) -> bool:
    here, there = family(found.module), family(found.target)
    if here is None or there is None or here == there:
        return False
    contract = found.target.count(".") == 2
    return there not in KNOWS.get(here, set()) or ((here, there) in CONTRACT_ONLY and not contract)


def test_every_module_has_its_layer() -> None:
    homeless = [module for module in modules() if module.count(".") and module.split(".")[1] not in ROOMS]
    assert not homeless, f"no layer is named for {homeless}"


def test_imports_point_to_lower_layers() -> None:
    wrong = [str(found) for found in imports() if points_up(found)]
    assert not wrong, "\n".join(wrong)


def test_families_keep_to_themselves() -> None:
    wrong = [str(found) for found in imports() if crosses_families(found)]
    assert not wrong, "\n".join(wrong)


def test_there_is_no_import_cycle() -> None:
    edges: dict[str, list[Import]] = {}
    for found in imports():
        edges.setdefault(found.module, []).append(found)
    done: set[str] = set()

    def walk(module: str, trail: list[Import]) -> None:
        for found in edges.get(module, []):
            passed = [step.module for step in trail]
            if found.target in passed or found.target == module:
                circle = [
                    *trail[passed.index(found.target) if found.target in passed else len(trail) :],
                    found,
                ]
                pytest.fail("a circle of imports:\n" + "\n".join(map(str, circle)))
            if found.target not in done:
                walk(found.target, [*trail, found])
        done.add(module)

    for module in modules():
        walk(module, [])


def planted(module: str, target: str) -> Import:
    return Import(PACKAGE / "planted.py", 1, f"gradtrain.{module}", f"gradtrain.{target}")


@pytest.mark.parametrize(
    ("module", "target", "wrong"),
    [
        ("training.loop", "storage.lock", True),
        ("training.loop", "config.tree", True),
        ("report.tables", "gradcheck.prover", True),
        ("problems", "lazy", True),
        ("registry", "stage", True),
        ("run", "cli.train", True),
        ("cli.train", "run", False),
        ("cli.sweep", "sweep", False),
        ("training.loop", "training.batches", False),
        ("stage", "registry", False),
    ],
)
def test_the_rule_of_the_layers(module: str, target: str, wrong: bool) -> None:
    assert points_up(planted(module, target)) is wrong


@pytest.mark.parametrize(
    ("here", "there", "wrong"),
    [
        ("losses.huber", "activations", True),
        ("metrics.accuracy", "datasets", False),
        ("metrics.accuracy", "datasets.digits", True),
        ("layers.linear", "models", True),
        ("models.mlp", "layers.linear", False),
        ("losses.huber", "losses", False),
    ],
)
def test_the_rule_of_the_families(here: str, there: str, wrong: bool) -> None:
    assert crosses_families(planted(f"components.{here}", f"components.{there}")) is wrong


def test_imports_in_functions_are_seen_and_those_for_the_type_checker_are_not() -> None:
    source = "def late():\n    from gradtrain import run\nif TYPE_CHECKING:\n    import gradtrain.cli\n"
    nodes = [node for node in executed(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.lineno for node in nodes] == [2]
    assert any(
        found.module == "gradtrain.components.activations" and found.target == "gradtrain.modules"
        for found in imports()
    )


def test_no_file_is_longer_than_400_lines() -> None:
    long = {str(path): n for path in PACKAGE.rglob("*.py") if (n := len(path.read_text("utf-8").splitlines())) > 400}
    assert not long


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [m for m in modules() if any(set(part.lower().split("_")) & FORBIDDEN_WORDS for part in m.split("."))]
    assert not vague


def test_the_public_names_are_exactly_all() -> None:
    script = """if True:
        import types
        import gradtrain
        ignored = {"annotations", "TYPE_CHECKING", *gradtrain.__all__}
        assert gradtrain.__all__ == sorted(set(gradtrain.__all__)), "unsorted or doubled"
        missing = [name for name in gradtrain.__all__ if not hasattr(gradtrain, name)]
        public = {name for name, value in vars(gradtrain).items() if not isinstance(value, types.ModuleType)}
        extra = [name for name in public - ignored if not name.startswith("_")]
        assert not missing and not extra, (missing, extra)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def components() -> dict[str, Path]:
    return {
        m: path
        for m, path in modules().items()
        if family(m) and path.name != "__init__.py" and not path.stem.startswith("_")
    }


@pytest.mark.parametrize("module", components())
def test_a_component_file_holds_one_public_class_of_its_name(module: str) -> None:
    classes = [
        node.name
        for node in tree(components()[module]).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [name.lower() for name in classes] == [module.rpartition(".")[2].replace("_", "")]


def test_component_files_import_no_torch() -> None:
    script = """if True:
        import importlib, sys
        for name in sys.argv[1:]:
            importlib.import_module(name)
            assert "torch" not in sys.modules, name
    """
    command = [sys.executable, "-c", script, *components()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def raised() -> dict[str, str]:
    """Code → the place of one `Problem(code, ...)` with a literal code; and the schema's own codes."""
    found = dict.fromkeys(ERROR_TYPES.values(), "gradtrain/config/words.py")
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Problem", "add"):
                first = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "code"), None)
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found[first.value] = f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
    return found


def pages() -> Counter[str]:
    return Counter(
        code for page in EXPLANATIONS.glob("*.md") for code in re.findall(r"^## (\S+)$", page.read_text("utf-8"), re.M)
    )


def test_every_code_that_is_raised_has_a_page() -> None:
    missing = {code: place for code, place in raised().items() if code not in pages()}
    assert not missing, "\n".join(f"{place}: {code}" for code, place in sorted(missing.items()))


def test_every_page_belongs_to_a_code_in_the_source() -> None:
    """Codes that reach `Problem` through a table or a parameter are literals somewhere too."""
    literals = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not sorted(pages().keys() - literals)


def test_every_code_has_one_page() -> None:
    assert not [code for code, count in pages().items() if count > 1]


def test_codes_are_kebab_case() -> None:
    assert not [code for code in {*pages(), *raised()} if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)]


def test_every_package_can_be_imported() -> None:
    for module, path in modules().items():
        if path.name == "__init__.py":
            importlib.import_module(module)
