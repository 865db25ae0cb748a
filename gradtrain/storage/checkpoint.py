"""Checkpoints: tensors and JSON behind a manifest of hashes, committed by one rename.

    checkpoints/step-00000100/{state.safetensors, trainer.json, manifest.json}

The manifest is the truth, the folder's name a hint. Nothing here can run code: no pickle, no names that are imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from gradtrain.problems import Place, Problem, quote
from gradtrain.storage.files import read_regular, refused, sync_folder, write_new
from gradtrain.storage.header import names_in

FORMAT = 1
FILES = ("state.safetensors", "trainer.json")
NAME = re.compile(r"step-(\d{8,15})")
LARGEST_STEP = 10**15


@dataclass
class Loaded:
    """A checkpoint that was verified and read."""

    path: Path
    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def steps(root: Path) -> list[int]:
    """Steps of the checkpoints in a folder, by their names, ascending; nothing is verified."""
    return (
        sorted(int(found[1]) for path in root.iterdir() if (found := NAME.fullmatch(path.name)))
        if root.is_dir()
        else []
    )


def save(
    root: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    *,
    keep: int,
    protect: Iterable[int] = (),
    finite: tuple[str, ...] = (),
) -> Path:
    """Commit a checkpoint and retire old ones: the newest `keep` and those in `protect` stay.

    Tensors whose names begin with a prefix in `finite` must be finite: weights that are not are never committed.
    Raises `Problem`: numerical (nonfinite-weights), resources (full disk, rights); older checkpoints are untouched.
    """
    for name, tensor in tensors.items():
        if name.startswith(finite) and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise Problem(
                "nonfinite-weights",
                f"{quote(name)} holds numbers that are not finite at step {step}",
                Place(str(root)),
                "such weights are never saved: they would replace good ones",
                "resume from the last checkpoint with a lower learning rate",
            )
    files = {
        "state.safetensors": safetensors.torch.save(
            {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        ),
        "trainer.json": json.dumps(facts).encode(),
    }
    manifest: dict[str, Any] = {
        "format": FORMAT, "step": step, "torch": torch.__version__,
        "files": {name: [len(data), hashlib.sha256(data).hexdigest()] for name, data in files.items()},
    }  # fmt: skip
    manifest["sha256"] = _seal(manifest)
    temporary, target = root / f".tmp-step-{step:08d}-{os.getpid()}", root / f"step-{step:08d}"
    try:
        clean(root)
        temporary.mkdir()
        for name, data in {**files, "manifest.json": json.dumps(manifest, indent=1).encode()}.items():
            write_new(temporary / name, data)
        sync_folder(temporary)
        if target.is_symlink() or target.exists():
            _drop(target)
        os.rename(temporary, target)
        sync_folder(root)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise refused(error, target) from None
    retire(root, step, keep=keep, protect=protect)
    return target


def retire(root: Path, step: int, *, keep: int, protect: Iterable[int] = ()) -> None:
    """Remove the checkpoints up to `step` but the newest `keep` and those in `protect`; and what a kill left behind."""
    clean(root)
    present = [number for number in steps(root) if number <= step]  # later ones were skipped when the run was resumed
    for old in set(present) - set(present[-keep:]) - set(protect):
        with contextlib.suppress(OSError):  # a checkpoint that cannot be deleted is no reason to stop a run
            _drop(root / f"step-{old:08d}")


def clean(root: Path) -> None:
    """Remove what a killed process left: unfinished checkpoints, and old ones half deleted."""
    for path in root.iterdir() if root.is_dir() else ():
        if path.name.startswith((".tmp-step-", ".del-step-")):
            _delete(path)


def _drop(path: Path) -> None:
    """Take a checkpoint out of sight with one rename, then delete it."""
    gone = path.with_name(f".del-{path.name}-{os.getpid()}")
    os.rename(path, gone)
    _delete(gone)


def _delete(path: Path) -> None:
    """A folder with all that is in it, a file or a link; what cannot be deleted stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def newest(root: Path, warn: Callable[[Problem], None] = lambda problem: None) -> Loaded:
    """The newest checkpoint that is whole; `warn` is told of every one skipped. Raises `Problem` (checkpoint)."""
    skipped = []
    for step in sorted(steps(root), key=lambda step: _true_step(root, step), reverse=True):
        try:
            found = load(root, step)
        except Problem as refusal:
            skipped.append(refusal)
            continue
        if found.step != step:
            warn(
                Problem(
                    "checkpoint-renamed",
                    f"{quote(found.path.name)} holds step {found.step}, says its manifest",
                    Place(str(found.path)),
                    "the manifest is believed",
                    severity="warning",
                )
            )
        for problem in skipped:
            warn(
                Problem(
                    "checkpoint-skipped",
                    problem.what,
                    problem.at,
                    f"{problem.why}; the checkpoint of step {found.step} is used instead".removeprefix("; "),
                    severity="warning",
                )
            )
        return found
    if skipped:
        if newer := [problem for problem in skipped if problem.code == "checkpoint-newer"]:
            raise newer[0]
        first = skipped[0]
        raise Problem(
            "no-valid-checkpoint",
            f"of {len(skipped)} checkpoints, none is whole",
            Place(str(root)),
            f"{first.what}: {first.why}",
            "restore the folder from a copy, or start a new run",
        )
    pickled = (
        [path.name for path in root.iterdir() if path.suffix in (".pt", ".pth", ".ckpt", ".bin", ".pkl")]
        if root.is_dir()
        else []
    )
    if pickled:
        raise Problem(
            "checkpoint-unsafe",
            f"{quote(pickled[0])} may hold a pickle, which is never opened",
            Place(str(root)),
            "unpickling runs code",
            "convert it to safetensors where you trust it",
        )
    raise Problem(
        "no-checkpoint",
        "there is no checkpoint",
        Place(str(root)),
        "the run ended before its first one",
        "start it again with `gradtrain train`",
    )


def load(root: Path, step: int) -> Loaded:
    """One checkpoint, every byte of it verified before any of it is used. Raises `Problem` (checkpoint)."""
    path = root / f"step-{step:08d}"
    if path.is_symlink() or not path.is_dir():
        raise Problem(
            "no-checkpoint",
            f"there is no checkpoint of step {step}",
            Place(str(path)),
            f"there are {', '.join(map(str, steps(root))) or 'none'}",
        )
    manifest = _manifest(path)
    data = {name: _verified(path / name, *manifest["files"][name]) for name in FILES}
    try:
        names_in(data["state.safetensors"])
        tensors = safetensors.torch.load(data["state.safetensors"])
        facts = json.loads(data["trainer.json"])  # NaN may stand here: a metric that is not defined
    except (
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise _damaged(
            path,
            f"its contents cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        ) from None
    if not isinstance(facts, dict):
        raise _damaged(path, "trainer.json is not an object")
    return Loaded(path, manifest["step"], tensors, facts)


def _true_step(root: Path, step: int) -> int:
    """The step that a manifest states; that of the name where the manifest says none."""
    try:
        return int(_manifest(root / f"step-{step:08d}")["step"])
    except Problem:
        return step


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = _strict_json(read_regular(path / "manifest.json"))
    except FileNotFoundError:
        raise _damaged(path, "it has no manifest.json") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"manifest.json cannot be read: {error}") from None
    if isinstance(manifest, dict) and isinstance(manifest.get("format"), int) and manifest["format"] > FORMAT:
        raise Problem(
            "checkpoint-newer",
            f"the checkpoint has format {manifest['format']}, this gradtrain reads up to {FORMAT}",
            Place(str(path)),
            "it was made by a newer gradtrain",
            "upgrade gradtrain",
        )
    seal = manifest.pop("sha256", None) if isinstance(manifest, dict) else None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    sound = (
        isinstance(manifest, dict) and seal == _seal(manifest) and manifest.get("format") == FORMAT
        and type(manifest.get("step")) is int and 0 <= manifest["step"] < LARGEST_STEP
        and isinstance(files, dict) and set(files) == set(FILES)
        and all(isinstance(e, list) and [type(item) for item in e] == [int, str] for e in files.values())
    )  # fmt: skip
    if not sound:
        raise _damaged(path, "manifest.json does not say what it should")
    return manifest  # type: ignore[no-any-return]


def _seal(manifest: Mapping[str, Any]) -> str:
    """The hash of what a manifest says, so that a changed step or version is found as well as a changed file."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _verified(path: Path, size: int, digest: str) -> bytes:
    try:
        data = read_regular(path)
    except FileNotFoundError:
        raise _damaged(path.parent, f"{quote(path.name)} is missing") from None
    except OSError as error:
        raise _damaged(
            path.parent, f"{quote(path.name)} cannot be read: {os.strerror(error.errno or 0).lower()}"
        ) from None
    if len(data) != size:
        raise _damaged(path.parent, f"{quote(path.name)} has {len(data):,} bytes, its manifest says {size:,}")
    if hashlib.sha256(data).hexdigest() != digest:
        raise _damaged(path.parent, f"{quote(path.name)} is not what was saved: its hash differs")
    return data


def _damaged(path: Path, why: str) -> Problem:
    return Problem(
        "checkpoint-damaged",
        f"the checkpoint {quote(path.name)} is damaged",
        Place(str(path)),
        why,
        "an older checkpoint is used where there is one",
    )


def _strict_json(data: bytes) -> Any:
    """JSON without double keys and without numbers that JSON does not have. Raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a JSON number")

    return json.loads(data, object_pairs_hook=unique, parse_constant=refuse)
