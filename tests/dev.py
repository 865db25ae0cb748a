"""The developers' three words: `python tests/dev.py test | fix | check`.

What a word runs stands in pyproject.toml under [tool.words]. All of its commands run, one after the other
in this interpreter's environment; the exit status is 1 when one fails. `readme` brings the README's generated
blocks up to date, `readme --check` only compares.

A generated block begins with `<!-- generated: COMMAND -->` and ends with `<!-- /generated -->`. COMMAND is a
`gradtrain` command whose output it shows, or the word `components` for the table of all components.
"""

from __future__ import annotations

import difflib
import glob
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- /generated -->)", re.DOTALL)
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}


def words() -> dict[str, list[str]]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["words"])


def arguments(command: str) -> list[str]:
    """The command as this interpreter runs it, file patterns expanded."""
    program, *rest = shlex.split(command)
    found = [name for word in rest for name in (sorted(glob.glob(word, root_dir=ROOT)) if "*" in word else [word])]
    return [sys.executable, *(["tests/dev.py", "readme"] if program == "readme" else ["-m", program]), *found]


def perform(word: str, further: list[str]) -> int:
    """Run a word's commands; further arguments go to the last one (`test -k huber`)."""
    failed = []
    commands = words()[word]
    for number, command in enumerate(commands, 1):
        line = f"{command} {shlex.join(further)}".strip() if number == len(commands) else command
        print(f"$ {line}", flush=True)
        began = time.monotonic()
        status = subprocess.run(arguments(line), cwd=ROOT, check=False).returncode
        verdict = f"FAILED with exit status {status}" if status else "ok"
        print(f"  {verdict}, {time.monotonic() - began:.1f} s", flush=True)
        if status:
            failed.append(line)
    if failed:
        print(f"\n{word}: {len(failed)} of {len(commands)} failed:\n" + "\n".join(f"  {line}" for line in failed))
    return 1 if failed else 0


def generated(source: str) -> str:
    """What a block shows."""
    if source == "components":
        return components()
    program, *rest = shlex.split(source)
    if program != "gradtrain":
        raise SystemExit(f"README.md: a generated block runs `gradtrain ...` or is `components`, not `{source}`")
    done = subprocess.run(
        [sys.executable, "-m", "gradtrain", *rest],
        cwd=ROOT,
        env=os.environ | PLAIN,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"README.md: `{source}` ends with {done.returncode}:\n{done.stderr}")
    body = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
    return f"```text\n$ {source}\n{body}\n```\n"


def components() -> str:
    from gradtrain.registry import families, names

    rows = [f"| {shelf} | {len(names(cls))} | {', '.join(names(cls))} |" for shelf, cls in families().items()]
    return "\n".join(["| family | | names in YAML |", "|---|---|---|", *rows]) + "\n"


def readme(check: bool) -> int:
    old = README.read_text("utf-8")
    new = BLOCK.sub(lambda block: block[1] + generated(block[2]) + block[3], old)
    if old == new:
        return 0
    if not check:
        README.write_text(new, "utf-8")
        print("README.md: generated blocks brought up to date")
        return 0
    print(
        "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "README.md", "README.md, generated"))
    )
    print("README.md is out of date: run `python tests/dev.py fix`")
    return 1


def main() -> int:
    word, *further = sys.argv[1:] or ["--help"]
    if word == "readme" and further in ([], ["--check"]):
        return readme(check=bool(further))
    if word not in words():
        print(f"{__doc__}\nwords: {', '.join(words())}", file=sys.stderr)
        return 2
    return perform(word, further)


if __name__ == "__main__":
    sys.exit(main())
