"""Checkpoints give back every bit that was saved, and refuse everything else."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.problems import Problem
from gradtrain.storage import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
    torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64,
    torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64,
]  # fmt: skip
STATE, TRAINER, MANIFEST = "state.safetensors", "trainer.json", "manifest.json"


def bits(tensor: Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).clone().untyped_storage())


def same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and bits(a) == bits(b)


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(Problem) as caught:
        call()
    assert caught.value.exit_code in (4, 5, 6)
    return caught.value.code


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the checkpoints of steps 10 and 20."""
    for step in (10, 20):
        checkpoint.save(
            tmp_path,
            step,
            {"network.w": torch.arange(6.0) + step, "rng": torch.get_rng_state()[:64]},
            {"step": step},
            keep=5,
        )
    return tmp_path


def test_a_checkpoint_is_three_files(root: Path) -> None:
    assert sorted(path.name for path in root.iterdir()) == ["step-00000010", "step-00000020"]
    assert sorted(path.name for path in (root / "step-00000020").iterdir()) == [MANIFEST, STATE, TRAINER]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)], ids=str)
def test_every_dtype_and_shape_comes_back_bit_by_bit(
    tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    size = torch.empty(shape, dtype=dtype).numel() * dtype.itemsize
    raw = torch.randint(0, 256, (size,), dtype=torch.uint8, generator=torch.Generator().manual_seed(size))
    raw = (
        raw & 1 if dtype == torch.bool else raw
    )  # a bool is 0 or 1; any other pattern, NaN payloads included, is a number
    tensor = raw.view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)
    checkpoint.save(tmp_path, 1, {"t": tensor}, {}, keep=2)
    assert same(checkpoint.load(tmp_path, 1).tensors["t"], tensor)


def test_views_aliases_parameters_and_random_states_come_back(tmp_path: Path) -> None:
    whole = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    tensors = {
        "whole": whole, "again": whole, "row": whole[2], "transposed": whole.T, "strided": whole[::2, 1::2],
        "expanded": whole[:1].expand(5, 4),
        "channels_last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(whole), "rng": torch.get_rng_state(), "odd/näme 'x'": torch.tensor(1.5),
        "special": torch.tensor([0.0, -0.0, float("inf"), float("nan"), 1e-45]),
    }  # fmt: skip
    checkpoint.save(tmp_path, 1, tensors, {}, keep=2)
    found = checkpoint.load(tmp_path, 1).tensors
    assert found.keys() == tensors.keys()
    assert all(same(found[name], tensor) for name, tensor in tensors.items())
    found["again"].zero_()
    assert same(found["whole"], whole), "aliases are apart once they are loaded"
    assert found["channels_last"].is_contiguous()


def test_facts_come_back_with_every_bit_of_their_numbers(tmp_path: Path) -> None:
    facts = {
        "a": 0.1 + 0.2,
        "tiny": 5e-324,
        "big": 2**70,
        "none": None,
        "nested": {"list": [1, True, "ü\n"]},
        "inf": float("-inf"),
    }
    checkpoint.save(tmp_path, 1, {}, facts, keep=2)
    assert checkpoint.load(tmp_path, 1).facts == facts


def test_a_metric_that_is_not_defined_does_not_spoil_the_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, {}, {"measured": {"auroc": float("nan")}}, keep=2)
    value = checkpoint.load(tmp_path, 1).facts["measured"]["auroc"]
    assert value != value


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest and seal it again, as somebody with bad intentions would."""
    manifest = json.loads(path.read_bytes())
    del manifest["sha256"]
    change(manifest)
    sealed = {**manifest, "sha256": hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()}
    path.write_text(json.dumps(sealed))


def replace(path: Path, data: bytes) -> None:
    """Put other bytes into a member, with a manifest that agrees."""
    path.write_bytes(data)
    entry = [len(data), hashlib.sha256(data).hexdigest()]
    rewrite(path.with_name(MANIFEST), lambda manifest: manifest["files"].update({path.name: entry}))


def header(entries: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor_at(begin: Any, end: Any, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HEADERS = {
    "empty file": b"",
    "ends in the length": b"\0\0\0",
    "longer than 1 MiB": header(b'{"a":1}' + b" " * (1 << 20)),
    "claims more than there is": header({}, length=10**6),
    "claims 2^64 - 1": header({}, length=2**64 - 1),
    "no JSON": header(b"{nonsense"),
    "not an object": header([1]),
    "too deep": header(b"[" * 100_000),
    "entry is a number": header({"a": 1}),
    "entry is empty": header({"a": {}}),
    "overlapping": header({"a": tensor_at(0, 8), "b": tensor_at(4, 12)}, bytes(12)),
    "same place twice": header({"a": tensor_at(0, 8), "b": tensor_at(0, 8)}, bytes(8)),
    "gap": header({"a": tensor_at(0, 8), "b": tensor_at(12, 20)}, bytes(20)),
    "bytes left over": header({"a": tensor_at(0, 8)}, bytes(9)),
    "ends too early": header({"a": tensor_at(0, 8)}, bytes(7)),
    "negative size": header({"a": tensor_at(0, 8, [-1, -2])}, bytes(8)),
    "size and place differ": header({"a": tensor_at(0, 8, [3])}, bytes(8)),
    "huge shape": header({"a": tensor_at(0, 8, [10**30, 10**30])}, bytes(8)),
    "text as offsets": header({"a": tensor_at("0", "8")}, bytes(8)),
    "text as shape": header({"a": tensor_at(0, 8, "22")}, bytes(8)),
    "no offsets": header({"a": tensor_at(None, None)}, bytes(8)),
    "unknown dtype": header({"a": tensor_at(0, 8, dtype="F99")}, bytes(8)),
    "dtype is a list": header({"a": tensor_at(0, 8, dtype=["F32"])}, bytes(8)),
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_damage_even_with_a_right_hash(root: Path, name: str) -> None:
    replace(root / "step-00000020" / STATE, HEADERS[name])
    assert code_of(lambda: checkpoint.load(root, 20)) == "checkpoint-damaged"


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder / MANIFEST, change)


def linked(name: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return link


def fifo(folder: Path) -> None:
    (folder / STATE).unlink()
    os.mkfifo(folder / STATE)


def as_folder(folder: Path) -> None:
    (folder / STATE).unlink()
    (folder / STATE).mkdir()


def text(content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / MANIFEST).write_bytes(content)


CASES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "K02 no manifest": (lambda folder: (folder / MANIFEST).unlink(), "checkpoint-damaged"),
    "K03 empty manifest": (text(b""), "checkpoint-damaged"),
    "K03 not JSON": (text(b"{'format': 1}"), "checkpoint-damaged"),
    "K03 not UTF-8": (text(b"\xff\xfe{}"), "checkpoint-damaged"),
    "K03 not an object": (text(b"[1]"), "checkpoint-damaged"),
    "K03 too deep": (text(b"[" * 100_000), "checkpoint-damaged"),
    "K04 other hash": (edited(lambda m: m["files"][STATE].__setitem__(1, "0" * 64)), "checkpoint-damaged"),
    "K05 other size": (edited(lambda m: m["files"][STATE].__setitem__(0, 1)), "checkpoint-damaged"),
    "K05 a byte more": (lambda f: (f / TRAINER).write_bytes((f / TRAINER).read_bytes() + b" "), "checkpoint-damaged"),
    "K11 newer": (edited(lambda m: m.update(format=2, whatever={})), "checkpoint-newer"),
    "K11 format 0": (edited(lambda m: m.update(format=0)), "checkpoint-damaged"),
    "K11 format is text": (edited(lambda m: m.update(format="1")), "checkpoint-damaged"),
    "K13 name with ../": (edited(lambda m: m["files"].update({"../x": m["files"].pop(STATE)})), "checkpoint-damaged"),
    "K13 one more name": (edited(lambda m: m["files"].update({"../../etc/passwd": [1, ""]})), "checkpoint-damaged"),
    "K13 a name less": (edited(lambda m: m["files"].pop(TRAINER)), "checkpoint-damaged"),
    "K14 linked tensors": (linked(STATE), "checkpoint-damaged"),
    "K14 linked facts": (linked(TRAINER), "checkpoint-damaged"),
    "K14 linked manifest": (linked(MANIFEST), "checkpoint-damaged"),
    "K14 a pipe": (fifo, "checkpoint-damaged"),
    "K14 a folder": (as_folder, "checkpoint-damaged"),
    "K15 NaN": (text(b'{"format": NaN, "step": 20}'), "checkpoint-damaged"),
    "K15 10^15 steps": (edited(lambda m: m.update(step=10**15)), "checkpoint-damaged"),
    "K15 negative step": (edited(lambda m: m.update(step=-1)), "checkpoint-damaged"),
    "K15 step is true": (edited(lambda m: m.update(step=True)), "checkpoint-damaged"),
    "K15 step is 20.0": (edited(lambda m: m.update(step=20.0)), "checkpoint-damaged"),
    "K15 files is a list": (edited(lambda m: m.update(files=[STATE, TRAINER])), "checkpoint-damaged"),
    "K15 an entry is text": (edited(lambda m: m["files"].update({STATE: "abc"})), "checkpoint-damaged"),
    "K16 hash is a number": (edited(lambda m: m.update(config_sha256=1)), "checkpoint-damaged"),
    "facts are a list": (lambda folder: replace(folder / TRAINER, b"[1]"), "checkpoint-damaged"),
    "facts are no JSON": (lambda folder: replace(folder / TRAINER, b"{"), "checkpoint-damaged"),
    "facts are too deep": (lambda folder: replace(folder / TRAINER, b"[" * 100_000), "checkpoint-damaged"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_refused_and_the_older_one_serves(root: Path, name: str) -> None:
    change, code = CASES[name]
    change(root / "step-00000020")
    assert code_of(lambda: checkpoint.load(root, 20)) == code
    told: list[Problem] = []
    assert checkpoint.newest(root, told.append).step == 10
    assert [(problem.code, problem.severity) for problem in told] == [("checkpoint-skipped", "warning")]
    assert "step 10" in told[0].why


def test_a_key_that_stands_twice_is_damage(root: Path) -> None:
    path = root / "step-00000020" / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"step": 20', b'"step": 20, "step": 20'))
    assert code_of(lambda: checkpoint.load(root, 20)) == "checkpoint-damaged"


@pytest.mark.parametrize("name", [MANIFEST, STATE, TRAINER])
def test_a_file_of_terabytes_is_refused_unread(root: Path, name: str) -> None:
    os.truncate(root / "step-00000020" / name, 1 << 42)
    assert code_of(lambda: checkpoint.load(root, 20)) == "checkpoint-damaged"
    assert checkpoint.newest(root).step == 10


@pytest.mark.parametrize(
    "name", ["step-000000010", "step-000000000000090", "step-٠٠٠٠٠٠٩٠", "step-90", "step-00000090x"]
)
def test_a_step_has_one_name_only(root: Path, name: str) -> None:
    shutil.copytree(root / "step-00000010", root / name)
    assert checkpoint.steps(root) == [10, 20]


def test_who_made_it_is_told(root: Path) -> None:
    path = root / "step-00000020" / MANIFEST
    made = json.loads(path.read_bytes())
    assert made["torch"] == torch.__version__
    assert made["gradtrain"]
    for maker, said in (("9.1\x1b[31m", "made by gradtrain `9.1\\x1b[31m`"), ([1], "made by a newer gradtrain")):
        rewrite(path, lambda manifest, maker=maker: manifest.update(format=2, gradtrain=maker))  # type: ignore[misc]
        with pytest.raises(Problem) as caught:
            checkpoint.load(root, 20)
        assert caught.value.code == "checkpoint-newer"
        assert said in caught.value.why


def test_the_hash_of_its_config_comes_back(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, {}, {}, keep=2)
    checkpoint.save(tmp_path, 2, {}, {}, keep=2, config_sha256="ab12")
    assert [checkpoint.load(tmp_path, step).config_sha256 for step in (1, 2)] == ["", "ab12"]


def test_a_linked_checkpoint_is_not_followed(root: Path) -> None:
    (root / "step-00000030").symlink_to(root / "step-00000020")
    assert code_of(lambda: checkpoint.load(root, 30)) == "checkpoint-damaged"
    assert checkpoint.newest(root).step == 20


def test_the_manifest_is_believed_and_not_the_name(root: Path) -> None:
    (root / "step-00000010").rename(root / "step-00000900")
    told: list[Problem] = []
    assert checkpoint.newest(root, told.append).step == 20
    assert not told
    shutil.rmtree(root / "step-00000020")
    found = checkpoint.newest(root, told.append)
    assert (found.step, found.facts["step"]) == (10, 10)
    assert [(problem.code, problem.severity) for problem in told] == [("checkpoint-renamed", "warning")]


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert code_of(lambda: checkpoint.newest(tmp_path)) == "no-checkpoint"
    assert code_of(lambda: checkpoint.newest(tmp_path / "absent")) == "no-checkpoint"
    assert code_of(lambda: checkpoint.load(tmp_path, 3)) == "no-checkpoint"
    (tmp_path / "step-7").mkdir()
    (tmp_path / "notes.txt").touch()
    assert checkpoint.steps(tmp_path) == []


@pytest.mark.parametrize("name", ["model.pt", "x.pth", "last.ckpt", "pytorch_model.bin", "a.pkl"])
def test_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch ran'\ntR.")
    assert code_of(lambda: checkpoint.newest(tmp_path)) == "checkpoint-unsafe"


@pytest.mark.fault("F16")
def test_when_none_is_whole_the_first_reason_is_told(root: Path) -> None:
    for step in (10, 20):
        (root / f"step-{step:08d}" / STATE).unlink()
    with pytest.raises(Problem, match="none of 2 checkpoints is whole") as caught:
        checkpoint.newest(root)
    assert (caught.value.code, caught.value.exit_code) == ("no-valid-checkpoint", 5)
    assert STATE in caught.value.why


def test_only_a_newer_one_asks_for_an_upgrade(root: Path) -> None:
    shutil.rmtree(root / "step-00000010")
    rewrite(root / "step-00000020" / MANIFEST, lambda manifest: manifest.update(format=7))
    assert code_of(lambda: checkpoint.newest(root)) == "checkpoint-newer"


@pytest.mark.fault("F14")
def test_every_one_of_500_flipped_bits_is_found(root: Path) -> None:
    draw, folder = random.Random(0), root / "step-00000020"
    for number in range(500):
        path = folder / (MANIFEST, STATE, TRAINER)[number % 3]
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        assert code_of(lambda: checkpoint.load(root, 20)) in ("checkpoint-damaged", "checkpoint-newer"), (path, number)
        path.write_bytes(whole)
    assert checkpoint.load(root, 20).step == 20


@pytest.mark.fault("F13", "F15")
@pytest.mark.parametrize("name", [MANIFEST, STATE, TRAINER])
def test_a_file_cut_at_20_sizes_or_removed_is_found(root: Path, name: str) -> None:
    path = root / "step-00000020" / name
    whole = path.read_bytes()
    for size in {len(whole) * i // 20 for i in range(20)}:
        path.write_bytes(whole[:size])
        told: list[Problem] = []
        assert checkpoint.newest(root, told.append).step == 10, size
        assert name in told[0].why
    path.unlink()
    assert checkpoint.newest(root, told.append).step == 10
    assert name in told[1].why


@pytest.mark.fault("F17")
def test_an_empty_folder_is_passed_over_with_a_warning(root: Path) -> None:
    (root / "step-00000030").mkdir()
    told: list[Problem] = []
    assert checkpoint.newest(root, told.append).step == 20
    assert len(told) == 1


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.is_floating_point or d.is_complex], ids=str)
def test_finite_weights_are_told_from_others_in_every_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    largest = torch.tensor([torch.finfo(dtype).max] * 300, dtype=dtype)  # their sum is infinite, and not one of them is
    checkpoint.save(tmp_path, 1, {"network.w": largest}, {}, keep=2, finite=("network.",))
    bad = torch.zeros(300)
    bad[7] = float("nan")
    call = lambda: checkpoint.save(tmp_path, 2, {"network.w": bad.to(dtype)}, {}, keep=2, finite=("network.",))  # noqa: E731
    assert code_of(call) == "nonfinite-weights"
    assert checkpoint.steps(tmp_path) == [1]


def test_infinities_that_cancel_are_found(tmp_path: Path) -> None:
    weights = torch.tensor([float("inf"), 1.0, float("-inf")])
    call = lambda: checkpoint.save(tmp_path, 1, {"network.w": weights}, {}, keep=2, finite=("network.",))  # noqa: E731
    assert code_of(call) == "nonfinite-weights"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_never_saved(root: Path, bad: float) -> None:
    weights = torch.zeros(3)
    weights[1] = bad
    call = lambda: checkpoint.save(root, 30, {"network.w": weights}, {}, keep=5, finite=("network.",))  # noqa: E731
    assert code_of(call) == "nonfinite-weights"
    assert checkpoint.steps(root) == [10, 20]
    checkpoint.save(root, 30, {"update.w": weights}, {}, keep=5, finite=("network.",))
    assert checkpoint.newest(root).step == 30


def test_the_newest_are_kept_and_what_is_protected(tmp_path: Path) -> None:
    for step in range(1, 9):
        checkpoint.save(tmp_path, step, {}, {}, keep=3, protect={2})
    assert checkpoint.steps(tmp_path) == [2, 6, 7, 8]
    assert all(path.name.startswith("step-") for path in tmp_path.iterdir())


@pytest.mark.parametrize("keep", [-1, 0, 1])
def test_two_are_kept_whatever_is_asked_for(tmp_path: Path, keep: int) -> None:
    for step in range(1, 5):
        checkpoint.save(tmp_path, step, {}, {}, keep=keep)
    assert checkpoint.steps(tmp_path) == [3, 4]


def test_a_damaged_one_of_a_later_step_does_not_push_out_good_ones(root: Path) -> None:
    (root / "step-00000090").mkdir()
    for step in (30, 40):
        checkpoint.save(root, step, {}, {}, keep=2)
    assert checkpoint.steps(root) == [30, 40, 90]


def test_a_folder_in_its_place_is_replaced(root: Path) -> None:
    (root / "step-00000030").mkdir()
    checkpoint.save(root, 30, {}, {"new": True}, keep=5)
    assert checkpoint.newest(root).facts == {"new": True}
    assert sorted(path.name for path in root.iterdir() if path.name.startswith(".")) == []


def test_what_a_killed_process_left_is_removed(root: Path) -> None:
    (root / ".tmp-step-00000030-77").mkdir()
    (root / ".tmp-step-00000030-77" / STATE).touch()
    (root / ".del-step-00000005-77").touch()
    (root / "mine").touch()
    checkpoint.clean(root)
    assert sorted(path.name for path in root.iterdir()) == ["mine", "step-00000010", "step-00000020"]


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_the_same_step_again_never_costs_the_only_checkpoint(
    tmp_path: Path, forked: Callable[[Callable[[], Any]], int]
) -> None:
    """A kill at every rename, deletion and sync of a save over the only checkpoint that there is."""
    names = ("rename", "unlink", "rmdir", "fsync", "mkdir")
    seen = set()
    for k in range(1, 100):
        root = tmp_path / str(k)
        root.mkdir()
        checkpoint.save(root, 7, {}, {"life": 1}, keep=2)

        def work(root: Path = root, k: int = k) -> None:
            count = 0

            def deadly(original: Callable[..., Any]) -> Callable[..., Any]:
                def call(*args: Any, **more: Any) -> Any:
                    nonlocal count
                    count += 1
                    if count == k:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return original(*args, **more)

                return call

            for name in names:
                setattr(os, name, deadly(getattr(os, name)))
            checkpoint.save(root, 7, {}, {"life": 2}, keep=2)

        ended = os.waitstatus_to_exitcode(os.waitpid(forked(work), 0)[1])
        assert checkpoint.steps(root) == [7]
        found = checkpoint.newest(root)
        assert found.step == 7
        seen.add((found.path.name, found.facts["life"]))
        checkpoint.clean(root)
        assert left(root) == ["step-00000007"]
        assert checkpoint.load(root, 7).facts == found.facts
        checkpoint.save(root, 7, {}, {"life": 3}, keep=2)
        assert (left(root), checkpoint.newest(root).facts) == (["step-00000007"], {"life": 3})
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert k > 10
    assert seen == {("step-00000007", 1), (".old-step-00000007", 1), ("step-00000007", 2)}


def test_a_save_that_fails_puts_the_old_one_of_its_step_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def fail(source: Any, target: Any) -> None:
        if ".tmp-" in str(source):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    before = checkpoint.load(root, 20)
    assert code_of(lambda: checkpoint.save(root, 20, {}, {}, keep=2)) == "input-output"
    assert left(root) == ["step-00000010", "step-00000020"]
    assert checkpoint.load(root, 20).facts == before.facts


@pytest.mark.fault("F23")
def test_a_real_limit_of_the_system_at_30_sizes_leaves_the_older_ones(
    root: Path, forked: Callable[[Callable[[], Any]], int]
) -> None:
    """The kernel cuts the write itself, not a substitute for it: the file grows to the limit and no further."""
    weights = {"w": torch.arange(3000.0)}

    def work(limit: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            checkpoint.save(root, 30, weights, {}, keep=2)
        except Problem as problem:
            os._exit(problem.exit_code if problem.code == "disk-full" and "EFBIG" in problem.what else 9)

    for limit in range(0, 12_000, 400):
        assert os.waitstatus_to_exitcode(os.waitpid(forked(lambda limit=limit: work(limit)), 0)[1]) == 6  # type: ignore[misc]
        assert left(root) == ["step-00000010", "step-00000020"]
    assert checkpoint.newest(root).step == 20
    assert os.waitstatus_to_exitcode(os.waitpid(forked(lambda: work(20_000)), 0)[1]) == 0
    assert checkpoint.newest(root).step == 30
