"""A config file as text: what cannot be a config is refused before it is parsed."""

from __future__ import annotations

from pathlib import Path

from gradtrain.problems import Place, Problem, nearest, quote

MAX_BYTES = 1 << 20
"""A config is read whole and kept small."""


def text_of(path: Path) -> str:
    """The text of a config file: regular, small, UTF-8. Raises `Problem` (exit code 2)."""
    name = str(path)
    try:
        regular = path.is_file()
    except OSError as error:  # a name that is too long, or links that go round
        raise Problem("config-missing", f"{quote(name)} is not a path", why=error.strerror or "") from None
    if not regular:
        if path.is_dir():
            raise Problem(
                "config-missing",
                f"{quote(name)} is a directory, not a config file",
                help=_yaml_files_in(path),
            )
        if path.exists():
            raise Problem(
                "config-missing",
                f"{quote(name)} is not a regular file",
                why="a config is read from a regular file only",
            )
        help = "write the config into a file" if name == "-" else _nearest_file(path)
        raise Problem("config-missing", f"no config file at {quote(name)}", help=help)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Problem(
            "config-missing", f"cannot read {quote(name)}: {error.strerror}", help="check its rights"
        ) from None
    return decoded(data, name)


def decoded(data: bytes, name: str) -> str:
    """Bytes as UTF-8 text, without a byte-order mark. Raises `Problem` (exit code 2)."""
    if len(data) > MAX_BYTES:
        raise Problem(
            "config-limit",
            "the file is larger than 1 MiB",
            Place(name),
            "a config is read whole and kept small",
        )
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Problem(
            "config-encoding", "the file is UTF-16", Place(name, 1, 1), "a config is UTF-8 text", "save it as UTF-8"
        )
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        binary = b"\0" in data[:4096] or data[:4] == b"\x89PNG"
        raise Problem(
            "config-encoding",
            f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
            + (": this is not a text file" if binary else ""),
            Place(name, line, column, 1, "" if binary else _line_around(data, error.start)),
            "a config is UTF-8 text",
            "save it as UTF-8",
        ) from None


def _line_around(data: bytes, place: int) -> str:
    """The line that holds a byte which is not UTF-8, as the older encoding that it probably is."""
    start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
    before = data[start:place].decode("utf-8", "replace")
    return before + data[place : len(data) if end < 0 else end].decode("latin-1")


def _nearest_file(path: Path) -> str:
    folder = path.parent
    near = {p.stem: p for p in sorted(folder.glob("*.y*ml"))} if folder.is_dir() else {}
    close = nearest(path.stem, near)
    meant = f"did you mean `{folder / near[close].name}`? " if close else ""
    return f"{meant}`gradtrain init` writes a config to start from"


def _yaml_files_in(path: Path) -> str:
    found = sorted(str(p) for p in path.glob("*.y*ml"))[:3]
    return f"name one of its files: {', '.join(quote(f) for f in found)}" if found else "name a YAML file"
