"""The command line as a whole: help, unknown words, streams and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.cli import SUMMARIES, Commands, app, run, stem

AVAILABLE = [
    name
    for name in SUMMARIES
    if (Path(sys.modules["gradtrain.cli"].__file__ or "").parent / f"{stem(name)}.py").is_file()
]


def process(*args: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "GRADTRAIN_DEBUG")}
    return subprocess.run(
        [sys.executable, "-m", "gradtrain", *args],
        capture_output=True,
        check=False,
        env=clean | environment,
        timeout=60,
    )


Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command line in this process: (exit status, stdout, stderr)."""

    def call(*args: str) -> tuple[int, str, str]:
        status = run(args)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_no_arguments_print_the_help_on_stderr(said: Said) -> None:
    status, out, err = said()
    assert (status, out) == (2, "")
    assert "Usage: gradtrain" in err


def test_help_lists_exactly_the_commands_that_exist(said: Said) -> None:
    status, out, err = said("--help")
    assert (status, err) == (0, "")
    listed = {
        line.split()[0]
        for line in out.partition("Commands:")[2].splitlines()
        if line.startswith("  ") and line[2] != " "
    }
    assert listed == set(AVAILABLE) >= {"list", "show", "explain-error"}


def test_every_command_module_is_in_the_table() -> None:
    folder = Path(sys.modules["gradtrain.cli"].__file__ or "").parent
    others = {"__init__", "failure", "terminal"}
    assert {path.stem for path in folder.glob("*.py")} - others == {stem(name) for name in AVAILABLE}


@pytest.mark.parametrize("command", AVAILABLE)
def test_a_command_has_help_that_begins_as_the_table_says(command: str, said: Said) -> None:
    status, out, _ = said(command, "--help")
    assert status == 0
    assert SUMMARIES[command] in " ".join(out.split())


@pytest.mark.parametrize("name", ["list", "explain-error", "train"])
def test_modules_never_shadow_what_python_uses(name: str) -> None:
    assert stem(name) == {"list": "list_", "explain-error": "explain_error", "train": "train"}[name]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["lst"], "unknown-command", "did you mean `list`?"),
        (["list", "--jsn"], "unknown-option", "did you mean `--json`?"),
        (["--jsn"], "unknown-option", "`gradtrain --help`"),
        (["list", "--debug"], "unknown-option", "`gradtrain --debug ...`"),
        (["show"], "missing-argument", "needs `NAME`"),
        (["show", "huber", "x y", "z"], "unexpected-argument", "`x y z`"),
        (["list", "--json=3"], "option-value", "--json"),
        (["list", "lossess"], "unknown-family", "did you mean `losses`?"),
        (["show", "hubr"], "unknown-component", "did you mean `huber`?"),
        (["explain-error", "unknown-comand"], "unknown-code", "did you mean `unknown-command`?"),
    ],
)
def test_a_wrong_command_line_is_a_problem(args: list[str], code: str, words: str, said: Said) -> None:
    status, out, err = said(*args)
    assert (status, out) == (2, "")
    assert err.startswith(f"error[{code}]: ")
    assert words in err
    assert "Traceback" not in err
    assert "╭" not in err


def test_problems_are_json_with_json(said: Said) -> None:
    status, out, err = said("list", "lossess", "--json")
    assert (status, out) == (2, "")
    problem: dict[str, Any] = json.loads(err)
    assert problem["code"] == "unknown-family"
    assert problem["exit"] == 2


@pytest.mark.parametrize("word", ["\udcff\udcfe", "\x1b[31mred", "a" * 100_000, "‮abc", "a\nb"])
@pytest.mark.parametrize("before", [[], ["show"], ["list"], ["explain-error"], ["show", "huber"]])
def test_strange_words_are_shown_escaped_and_cut(word: str, before: list[str], said: Said) -> None:
    status, out, err = said(*before, word)
    assert (status, out) == (2, "")
    assert len(err) < 3000
    assert not any(c in err for c in "\x1b‮\udcff")


def test_bytes_that_are_no_text_survive_the_process() -> None:
    done = process("show", b"\xff\xfe\x1b[31m")
    assert done.returncode == 2
    assert b"unknown-component" in done.stderr
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C", "COLUMNS": "20", "TERM": "dumb"}, {"PYTHONIOENCODING": "ascii", "COLUMNS": "20"}],
)
def test_poor_terminals_get_all_of_it(environment: dict[str, str]) -> None:
    for args in (["--help"], ["list", "losses"], ["show", "huber"]):
        done = process(*args, **environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\x1b" not in done.stdout
        if "PYTHONIOENCODING" in environment:
            done.stdout.decode("ascii")


def test_help_imports_neither_torch_nor_pydantic() -> None:
    script = (
        "import sys; from gradtrain.cli import run\n"
        "run(['--help'])\n"
        "assert not {'torch', 'pydantic', 'numpy', 'rich', 'yaml'} & set(sys.modules), sys.modules.keys()\n"
        "run(['list', '--help'])\n"
        "run(['lst'])\n"
        "assert not {'torch', 'numpy', 'rich', 'yaml'} & set(sys.modules), sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_catalogue_imports_no_torch() -> None:
    script = (
        "import sys; from gradtrain.cli import run\n"
        "for args in (['list'], ['list', '--json'], ['show', 'huber'], ['show', 'hubr']):\n    run(args)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", ["list", "gradcheck sgd"])
def test_a_reader_that_leaves_is_no_error(line: str) -> None:
    """Nor a check that failed, which is what an exit status of 1 says."""
    command = f"'{sys.executable}' -m gradtrain {line} | (exec <&-; true); echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "141"


def test_stdout_may_be_closed_or_full() -> None:
    for redirect, statuses in ((">&-", {0}), (">/dev/full", {6})):
        done = subprocess.run(
            ["bash", "-c", f"'{sys.executable}' -m gradtrain list {redirect}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in statuses, done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_the_shell_is_told_the_commands() -> None:
    done = process(_GRADTRAIN_COMPLETE="complete_bash", COMP_WORDS="gradtrain ", COMP_CWORD="1")
    assert set(AVAILABLE) <= set(done.stdout.decode().split())
    done = process(_GRADTRAIN_COMPLETE="complete_bash", COMP_WORDS="gradtrain show hube", COMP_CWORD="2")
    assert done.stdout.decode().split() == ["huber"]
    # the shell is the one that the command is started from, and bash stays there for the command behind it
    line = f"'{sys.executable}' -m gradtrain --show-completion bash; true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=False, timeout=60)
    assert b"_GRADTRAIN_COMPLETE=complete_bash" in done.stdout


def test_the_version_is_the_installed_one(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2.3-{name}")
    assert said("--version") == (0, "gradtrain 1.2.3-gradtrain\n", "")


def test_the_status_of_a_command_is_the_status_of_the_process(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    def seven() -> int:
        return 7

    alone = typer.Typer()
    alone.command("list")(seven)
    monkeypatch.setattr(Commands, "get_command", lambda self, ctx, name: typer.main.get_command(alone))
    assert said("list") == (7, "", "")
    assert app.info.cls is Commands
