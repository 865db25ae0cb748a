"""Checkpoints: tensors and JSON behind a manifest, committed by one rename."""

from __future__ import annotations

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

from gradtrain.problems import Place, Problem
from gradtrain.storage.folder import sync_folder

FORMAT = 1
NAME = re.compile(r"step-(\d{8,})")


@dataclass
class Loaded:
    path: Path
    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def steps(root: Path) -> list[int]:
    return sorted(int(m[1]) for p in root.iterdir() if (m := NAME.fullmatch(p.name)))


def save(root: Path, step: int, tensors: Mapping[str, Tensor], facts: dict[str, Any], *, keep: int, protect: Iterable[int] = (), finite: tuple[str, ...] = ()) -> Path:
    for name, tensor in tensors.items():
        if name.startswith(finite) and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise Problem("nonfinite-weights", f"{name} is not finite", Place(str(root)))
    files = {"state.safetensors": safetensors.torch.save({k: v.detach().contiguous().clone() for k, v in tensors.items()}), "trainer.json": json.dumps(facts).encode()}
    manifest = {"format": FORMAT, "step": step, "torch": torch.__version__, "files": {n: [len(d), hashlib.sha256(d).hexdigest()] for n, d in files.items()}}
    temporary = root / f".tmp-step-{step}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
        with (temporary / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(temporary)
    target = root / f"step-{step:08d}"
    if target.exists():
        _retire(target)
    os.rename(temporary, target)
    sync_folder(root)
    kept = set(steps(root)[-keep:]) | set(protect)
    for old in steps(root):
        if old not in kept:
            _retire(root / f"step-{old:08d}")
    return target


def _retire(path: Path) -> None:
    gone = path.with_name(f".del-{path.name}-{os.getpid()}")
    os.rename(path, gone)
    shutil.rmtree(gone)


def load(root: Path, step: int | None) -> Loaded:
    path = root / f"step-{step:08d}"
    manifest = json.loads((path / "manifest.json").read_bytes())
    data = {}
    for name, (size, digest) in manifest["files"].items():
        data[name] = (path / name).read_bytes()
        if len(data[name]) != size or hashlib.sha256(data[name]).hexdigest() != digest:
            raise Problem("checkpoint-damaged", f"{name} does not match its manifest", Place(str(path / name)))
    return Loaded(path, manifest["step"], safetensors.torch.load(data["state.safetensors"]), json.loads(data["trainer.json"]))


def newest(root: Path, warn: Callable[[Problem], None] | None = None) -> Loaded:
    for step in reversed(steps(root)):
        return load(root, step)
    raise Problem("no-checkpoint", "there is no checkpoint", Place(str(root)))
