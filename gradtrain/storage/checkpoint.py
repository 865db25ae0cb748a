"""Checkpoints: tensors and JSON behind a manifest of hashes, committed by one rename.

    checkpoints/step-00000100/{state.safetensors, trainer.json, manifest.json}

The manifest is the truth, the folder's name a hint. Nothing here can run code: no pickle, no names that are imported.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from gradtrain.problems import Place, Problem, quote
from gradtrain.storage.files import PICKLES, irregular, read_regular, refused, sync_folder, unsafe, write_new
from gradtrain.storage.header import names_in
from gradtrain.storage.migrations import migrated, newest_format

FILES = ("state.safetensors", "trainer.json")
NAME = re.compile(r"(?:\.old-)?(step-([0-9]{8,15}))")
"""`.old-step-…` is a checkpoint that makes room for a new one of the same step."""
LARGEST_STEP = 10**15
LEAST = 2
"""Checkpoints that are kept whatever is asked for: one may turn out damaged."""
LONGEST_MANIFEST = 1 << 20


@dataclass
class Loaded:
    """A checkpoint that was verified and read."""

    path: Path
    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    config_sha256: str = ""
    """Hash of the config it was made with; empty when none was given."""


def steps(root: Path) -> list[int]:
    """Steps of the checkpoints in a folder, by their names, ascending; nothing is verified."""
    names = [found for path in root.iterdir() if (found := NAME.fullmatch(path.name))] if root.is_dir() else []
    return sorted({int(name[2]) for name in names if name[1] == f"step-{int(name[2]):08d}"})


def save(
    root: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    *,
    keep: int,
    protect: Iterable[int] = (),
    finite: tuple[str, ...] = (),
    config_sha256: str = "",
) -> Path:
    """Commit a checkpoint and retire old ones: the newest `keep` (at least two) and those in `protect` stay.

    Tensors whose names begin with a prefix in `finite` must be finite: weights that are not are never committed.
    A full disk is tried once more after everything beyond that is gone. Raises `Problem`: numerical
    (nonfinite-weights), resources (full disk, rights); older checkpoints are untouched.
    """
    for name, tensor in tensors.items():
        if name.startswith(finite) and not _is_finite(tensor.detach()):
            raise Problem(
                "nonfinite-weights",
                f"{quote(name)} holds numbers that are not finite at step {step}",
                Place(str(root)),
                "such weights are never saved: they would replace good ones",
                "resume from the last checkpoint with a lower learning rate",
            )
    files = {
        "state.safetensors": safetensors.torch.save(_apart(tensors)),
        "trainer.json": json.dumps(facts).encode(),
    }
    manifest: dict[str, Any] = {
        "format": newest_format(), "step": step, "gradtrain": _version(), "torch": torch.__version__,
        "config_sha256": config_sha256,
        "files": {name: [len(data), hashlib.sha256(data).hexdigest()] for name, data in files.items()},
    }  # fmt: skip
    manifest["sha256"] = _seal(manifest)
    contents = {**files, "manifest.json": json.dumps(manifest, indent=1).encode()}
    target = root / f"step-{step:08d}"
    try:
        try:
            _write(target, contents)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            retire(root, step, keep=LEAST, protect=protect)
            _write(target, contents)
    except OSError as error:
        raise refused(error, target) from None
    retire(root, step, keep=keep, protect=protect)
    return target


def _write(target: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files beside the place, then commit them; nothing is left of what fails. Raises OSError."""
    temporary = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    try:
        clean(target.parent)
        temporary.mkdir()
        for name, data in contents.items():
            write_new(temporary / name, data)
        sync_folder(temporary)
        _commit(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def retire(root: Path, step: int, *, keep: int, protect: Iterable[int] = ()) -> None:
    """Remove the checkpoints up to `step` but the newest `keep` and those in `protect`; and what a kill left behind."""
    clean(root)
    present = [number for number in steps(root) if number <= step]  # later ones were skipped when the run was resumed
    for old in set(present) - set(present[-max(keep, LEAST) :]) - set(protect):
        with contextlib.suppress(OSError):  # a checkpoint that cannot be deleted is no reason to stop a run
            _drop(root / f"step-{old:08d}")


def clean(root: Path) -> None:
    """Remove what a killed process left: unfinished checkpoints, and old ones half deleted.

    One that was making room for a new one of its step goes back to its place when the new one never came.
    """
    for path in root.iterdir() if root.is_dir() else ():
        place = path.with_name(path.name.removeprefix(".old-"))
        if path.name.startswith((".tmp-step-", ".del-step-")) or (place != path and _stands(place)):
            _delete(path)
        elif place != path:
            with contextlib.suppress(OSError):
                os.rename(path, place)


def _commit(temporary: Path, target: Path) -> None:
    """Rename into place; the one there stays beside it until the new one does. Raises `Problem`, OSError."""
    old, stood = target.with_name(f".old-{target.name}"), _stands(target)
    if stood:
        if target.is_symlink() or not target.is_dir():
            raise irregular(target, "folder")
        os.rename(target, old)
    try:
        os.rename(temporary, target)
    except OSError:
        if stood:
            os.rename(old, target)
        raise
    sync_folder(target.parent)
    if stood:
        _delete(old)


def _stands(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _is_finite(tensor: Tensor) -> bool:
    """Whether every number is. A finite sum has finite terms only, and costs a tenth of a look at each of them."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    numbers = tensor if tensor.dtype.itemsize > 1 else tensor.float()  # torch neither adds nor judges every float8
    return bool(numbers.sum().isfinite()) or bool(numbers.isfinite().all())


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, none in the memory of another."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        apart[name] = value.clone() if place in seen else value
        seen.add(place)
    return apart


@functools.cache
def _version() -> str:
    try:
        return metadata.version("gradtrain")
    except metadata.PackageNotFoundError:
        return "source"


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
            f"none of {len(skipped)} checkpoints is whole" if len(skipped) > 1 else "the only checkpoint is not whole",
            first.at,
            f"{first.what}: {first.why}",
            "restore the folder from a copy, or start a new run",
        )
    if pickled := [path for path in root.iterdir() if path.suffix in PICKLES] if root.is_dir() else []:
        raise unsafe(pickled[0])
    raise Problem(
        "no-checkpoint",
        "there is no checkpoint",
        Place(str(root)),
        "the run ended before its first one",
        "start it again with `gradtrain train`",
    )


def load(root: Path, step: int) -> Loaded:
    """One checkpoint, every byte of it verified before any of it is used. Raises `Problem` (checkpoint)."""
    path = _path(root, step)
    if path.is_file() or path.is_symlink():
        raise _damaged(path, "it is a link" if path.is_symlink() else "it is a file, not a folder")
    if not path.is_dir():
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
    try:
        tensors, facts = migrated(manifest["format"], tensors, facts)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise _damaged(path, f"it is not what its format says ({type(error).__name__}: {error})") from None
    return Loaded(path, manifest["step"], tensors, facts, manifest.get("config_sha256", ""))


def _path(root: Path, step: int) -> Path:
    """Where a checkpoint lies; for a moment, and after a kill in it, the old one of a step that is saved again."""
    path, old = root / f"step-{step:08d}", root / f".old-step-{step:08d}"
    return old if old.is_dir() and not _stands(path) else path


def _true_step(root: Path, step: int) -> int:
    """The step that a manifest states; that of the name where the manifest says none."""
    try:
        return int(_manifest(_path(root, step))["step"])
    except Problem:
        return step


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = _strict_json(read_regular(path / "manifest.json", LONGEST_MANIFEST))
    except FileNotFoundError:
        raise _damaged(path, "it has no manifest.json") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"manifest.json cannot be read: {error}") from None
    written = manifest.get("format") if isinstance(manifest, dict) else None
    if type(written) is int and written > newest_format():
        maker = manifest.get("gradtrain")
        needed = f"gradtrain {quote(maker)}" if isinstance(maker, str) else "a newer gradtrain"
        raise Problem(
            "checkpoint-newer",
            f"the checkpoint has format {written}, this gradtrain reads up to {newest_format()}",
            Place(str(path)),
            f"it was made by {needed}",
            f"it needs {needed}{' or later' if isinstance(maker, str) else ''}: upgrade",
        )
    seal = manifest.pop("sha256", None) if isinstance(manifest, dict) else None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    sound = (
        isinstance(manifest, dict) and seal == _seal(manifest) and type(written) is int and written >= 1
        and type(manifest.get("step")) is int and 0 <= manifest["step"] < LARGEST_STEP
        and isinstance(manifest.get("config_sha256", ""), str)
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
        data = read_regular(path, size)
    except FileNotFoundError:
        raise _damaged(path.parent, f"{quote(path.name)} is missing") from None
    except OSError as error:
        raise _damaged(path.parent, f"{quote(path.name)} cannot be read: {(error.strerror or '').lower()}") from None
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
