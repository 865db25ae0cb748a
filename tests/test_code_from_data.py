"""Nothing of the package can run code that a config, a checkpoint or a data file holds: proved from its source.

Every name is resolved through the imports of its file, so that `from os import system as s` is seen as `os.system`.
What is forbidden and needed all the same stands in `ALLOWED`, with the reason.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import gradtrain

PACKAGE = Path(gradtrain.__file__).parent

FORBIDDEN = {
    # what reads objects and runs what they say
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "copyreg", "jsonpickle",
    "torch.load", "torch.save", "torch.serialization", "torch.package", "torch.hub", "torch.jit.load", "torch.export",
    "torch.utils.model_zoo", "torch.distributed.checkpoint", "torch.distributed.rpc", "torch.ops.load_library",
    "torch.classes", "torch.utils.cpp_extension", "numpy.DataSource", "numpy.ctypeslib", "pandas", "h5py", "onnx",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all",
    "yaml.Loader", "yaml.CLoader", "yaml.UnsafeLoader", "yaml.CUnsafeLoader", "yaml.FullLoader", "yaml.CFullLoader",
    # what runs a text, or whatever has a name
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "builtins.open_code", "code", "codeop",
    "runpy", "imp", "pydoc", "pkgutil", "zipimport", "types.CodeType", "types.FunctionType", "typing.get_type_hints",
    "importlib.import_module", "importlib.__import__", "importlib.reload", "importlib.machinery", "importlib.resources",
    "importlib.util.spec_from_file_location", "importlib.util.spec_from_loader", "importlib.metadata.entry_points",
    "importlib.util.module_from_spec", "importlib.abc", "operator.attrgetter", "operator.methodcaller",
    "pydantic.ImportString", "pydoc.locate", "timeit", "cProfile", "profile", "trace", "doctest", "numexpr", "sympy",
    "jinja2.Template", "jinja2.from_string", "mako", "string.Template", "string.Formatter",
    # what starts programs, and reaches into the process or another machine
    "subprocess", "multiprocessing", "concurrent.futures.ProcessPoolExecutor", "pty", "os.system", "os.popen",
    "os.execl", "os.execle", "os.execlp", "os.execv", "os.execve", "os.execvp", "os.execvpe", "os.spawnl", "os.spawnv",
    "os.spawnve", "os.spawnlp", "os.spawnvp", "os.posix_spawn", "os.posix_spawnp", "os.fork", "os.forkpty",
    "os.startfile", "webbrowser", "ctypes", "cffi", "readline", "ftplib", "http", "requests", "httpx", "aiohttp",
    "urllib.request", "socketserver", "smtplib", "telnetlib", "xmlrpc", "asyncio", "socket",
    # archives that write where they say, and XML that unfolds
    "tarfile", "shutil.unpack_archive", "shutil.make_archive", "tempfile.mktemp", "xml.sax", "xml.dom", "lxml",
    "xml.etree.ElementTree.parse", "xml.etree.ElementTree.fromstring", "xml.etree.ElementTree.XML",
    "xml.etree.ElementTree.iterparse",
}  # fmt: skip
"""A name, or the module that it is in."""
METHODS = {"extractall", "exec_module", "load_module", "run_module", "spec_from_file_location"}
"""Attributes that are forbidden of whatever object; `load` of an entry point is in `ALLOWED` by its import."""
KEYWORDS = {
    "shell": {"False"}, "allow_pickle": {"False"}, "weights_only": {"True"}, "trust_remote_code": {"False"},
    "autoescape": {"True"}, "resolve_entities": {"False"},
}  # fmt: skip
"""Argument → what may be written for it."""
NEEDED = {
    "numpy.load": "allow_pickle",
    "numpy.lib.format.read_array": "allow_pickle",
    "jinja2.Environment": "autoescape",
}
"""Call → the argument that must be written, whatever its default is."""

ALLOWED: dict[tuple[str, str], str] = {
    ("__init__.py", "importlib.import_module"): "public names → modules of the package, from a table in the source",
    ("lazy.py", "importlib.import_module"): "torch and two of its modules, named in the source",
    ("cli/__init__.py", "importlib.import_module"): "commands that have a file in the package",
    ("registry.py", "importlib.import_module"): "components that have a file in their family's folder",
    ("registry.py", "importlib.metadata.entry_points"): "packages that the user has installed may bring components",
    ("components/tokenizers/bpe.py", "importlib.import_module"): "an optional library, named in the source",
    ("components/datasets/_pictures.py", "importlib.import_module"): "an optional library, named in the source",
    ("gradcheck/plugin.py", "importlib.util.spec_from_file_location"): "--allow-code on the command line",
    ("gradcheck/plugin.py", "importlib.util.module_from_spec"): "--allow-code",
    ("gradcheck/plugin.py", "exec_module"): "--allow-code",
    ("gradcheck/plugin.py", "spec_from_file_location"): "--allow-code",
    ("gradcheck/captured.py", "types.CodeType"): "looked at to find what a function captured; none is made",
    ("storage/folder.py", "socket"): "the name of this machine, for the lock's text; nothing is connected",
}  # fmt: skip
"""(file, what) → why it may stand there all the same."""
ANY_NAME = {"__init__.py", "lazy.py", "cli/__init__.py", "registry.py"}
"""Files of `ALLOWED` that import a name which is not a literal: from a table of the package's own files."""


class Use(NamedTuple):
    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def bound(tree: ast.AST) -> dict[str, str]:
    """Name in a file → what it was imported as, written out."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def full(node: ast.AST, names: dict[str, str]) -> str:
    """The whole name that an expression stands for; empty where it is more than a name."""
    if isinstance(node, ast.Attribute):
        return f"{inner}.{node.attr}" if (inner := full(node.value, names)) else ""
    if isinstance(node, ast.Name):
        return names.get(node.id, f"builtins.{node.id}")
    return ""


def forbidden(name: str) -> str:
    """Which entry of the list a name falls under; empty where it is none of them."""
    parts = name.removeprefix("gradtrain.lazy.").split(".")
    roots = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next((root for root in roots if root in FORBIDDEN), "")


def uses(tree: ast.AST, file: str) -> Iterator[Use]:
    """Everything of a file that is forbidden, allowed or not."""
    names = bound(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if any(alias.name == "*" for alias in node.names):
                yield Use(file, line, "import *")
        elif isinstance(node, ast.Attribute | ast.Name):
            found = [full(node, names)]
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                yield Use(file, line, node.attr)
        elif isinstance(node, ast.Call):
            called = full(node.func, names)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg}
            for key, value in given.items():
                if key in KEYWORDS and value not in KEYWORDS[key]:
                    yield Use(file, line, f"{key}={value}")
            if called in NEEDED and NEEDED[called] not in given:
                yield Use(file, line, f"{called} without {NEEDED[called]}")
            if called == "importlib.import_module" and not isinstance(node.args[0], ast.Constant):
                yield Use(file, line, "import of a name that is not a literal")
            if called in ("builtins.globals", "builtins.locals"):
                yield Use(file, line, called)
        yield from (Use(file, line, entry) for entry in dict.fromkeys(map(forbidden, found)) if entry)


@functools.cache
def whole_package() -> tuple[Use, ...]:
    return tuple(
        use
        for path in sorted(PACKAGE.rglob("*.py"))
        for use in uses(ast.parse(path.read_text("utf-8")), str(path.relative_to(PACKAGE)))
    )


def excused(use: Use) -> bool:
    if use.what == "import of a name that is not a literal":
        return use.file in ANY_NAME
    return (use.file, use.what) in ALLOWED


def test_nothing_in_the_package_can_run_code_from_data() -> None:
    wrong = [str(use) for use in whole_package() if not excused(use)]
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_used() -> None:
    found = {(use.file, use.what) for use in whole_package()}
    assert sorted(ALLOWED.keys() - found) == []
    literal = {file for file, what in found if what == "import of a name that is not a literal"}
    assert literal == ANY_NAME


def test_templates_escape_everything() -> None:
    texts = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.html")}
    assert texts
    for path, text in texts.items():
        assert not re.search(r"\|\s*safe\b|autoescape\s+false|\bon\w+\s*=|javascript:", text), path


PLANTED = {
    "import pickle": "pickle",
    "from pickle import loads as read": "pickle",
    "import torch as t\nt.load('x')": "torch.load",
    "from torch import load\nload('x')": "torch.load",
    "from gradtrain.lazy import torch\ntorch.load('x', weights_only=False)": "torch.load",
    "from gradtrain.lazy import torch\ntorch.hub.load('x')": "torch.hub",
    "from torch.distributed import checkpoint": "torch.distributed.checkpoint",
    "import numpy as np\nnp.load('x')": "numpy.load without allow_pickle",
    "import numpy as np\nnp.load('x', allow_pickle=True)": "allow_pickle=True",
    "import yaml\nyaml.load('x', Loader=yaml.SafeLoader)": "yaml.load",
    "import yaml\nyaml.parse('x', Loader=yaml.Loader)": "yaml.Loader",
    "from yaml import unsafe_load as parse": "yaml.unsafe_load",
    "eval('1')": "builtins.eval",
    "run = exec": "builtins.exec",
    "import builtins\nbuiltins.eval('1')": "builtins.eval",
    "import importlib as i\ni.import_module(name)": "import of a name that is not a literal",
    "from importlib import import_module\nimport_module(config['class'])": "import of a name that is not a literal",
    "__import__('os')": "builtins.__import__",
    "import os\nos.system('x')": "os.system",
    "from os import system as s\ns('x')": "os.system",
    "from os import path, popen": "os.popen",
    "import subprocess": "subprocess",
    "def late():\n    import subprocess": "subprocess",
    "run(x, shell=True)": "shell=True",
    "archive.extractall('x')": "extractall",
    "import tarfile": "tarfile",
    "from jinja2 import Environment\nEnvironment()": "jinja2.Environment without autoescape",
    "from jinja2 import Environment\nEnvironment(autoescape=False)": "autoescape=False",
    "import urllib.request": "urllib.request",
    "from os import *": "import *",
    "globals()['x']()": "builtins.globals",
    "import xml.etree.ElementTree as e\ne.fromstring('x')": "xml.etree.ElementTree.fromstring",
}


@pytest.mark.parametrize("source", PLANTED)
def test_what_is_planted_is_found(source: str) -> None:
    found = [use for use in uses(ast.parse(source), "planted.py") if not excused(use)]
    assert PLANTED[source] in [use.what for use in found]


@pytest.mark.parametrize(
    "source", ["model.eval()", "import re\nre.compile('x')", "import os\nos.path.join('a')", "from torch import nn"]
)
def test_what_only_looks_like_it_is_not(source: str) -> None:
    assert list(uses(ast.parse(source), "planted.py")) == []
