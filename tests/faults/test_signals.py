"""Signals at every moment of a run: what can be begun again is broken off, everything else is saved first."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gradtrain.run
from gradtrain.components.datasets.moons import Moons
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.training.update import Searching

from .rig import NAMES, Kind, Telling, assert_same_end, ended, journal_of, living, wait_for_lines

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.xdist_group("signals"),
]

Kinds = Callable[[str], Kind]

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}

SEARCHING = """
name: searching
device: cpu
data:
  source: {moons: {count: 60, noise: 0.25}}
  split: {val: 0.25}
  batch_size: 45
model: {layers: [{linear: 8}, tanh, {linear: 2}]}
loss: cross_entropy
optimizer: {lbfgs: {lr: 1.0, max_iter: 3, line_search: strong_wolfe}}
training: {steps: 9}
evaluation: {every: 3 steps}
checkpoint: {every: 2 steps, best: val.loss}
logging: {every: 1 step}
"""


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def assert_interrupted(folder: Path, number: int) -> None:
    """The status is true, nothing that was done is lost, and no half of anything lies about."""
    status = RunFolder(folder).status()
    code = STATUS[signal.Signals(number)]
    assert [status[key] for key in ("state", "exit_code", "resumable")] == ["interrupted", code, True]
    assert signal.Signals(number).name in status["reason"]
    kept = checkpoint.steps(folder / "checkpoints")
    assert status["step"] == max(kept, default=0)
    done = [line["step"] for line in journal_of(folder) if line["kind"] == "step"]
    assert status["step"] >= max(done, default=0), "a step that was logged is lost"
    assert sorted(path.name for path in folder.rglob(".*")) == [".lock"]


@pytest.mark.fault("F32", "F33", "F35")
@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
@pytest.mark.parametrize("times", [pytest.param(5, id="5"), pytest.param(100, id="100", marks=pytest.mark.slow)])
def test_a_signal_at_random_times_changes_no_bit(
    number: signal.Signals, times: int, kind: Kinds, tmp_path: Path
) -> None:
    """From the first moment on, in start-up, training, evaluations and saves, again and again in one run."""
    draw, hits, runs = random.Random(f"{number.name}{times}"), 0, 0
    while hits < times:
        runs += 1
        one, folder = kind(NAMES[runs % len(NAMES)]), tmp_path / f"{runs}"
        while True:
            pid = living(one.config, folder, prepare=lambda: signal.signal(number, signal.SIG_DFL), ready=True)
            time.sleep(draw.random() * one.seconds * 0.5)
            os.kill(pid, number)  # it waits to be reaped even when it has ended, so the number is still its own
            status = ended(pid)
            if status == 0:
                break
            if status == -number:  # it came when the run had ended, and nobody listened any more
                assert RunFolder(folder).state() == "finished"
                break
            assert status == STATUS[number]
            hits += 1
            if folder.exists() and (folder / "status.json").exists():
                if RunFolder(folder).status()["state"] != "running":  # else it came before the run went on
                    assert_interrupted(folder, number)
            else:
                assert not folder.exists(), "a run that has not begun leaves nothing"
        assert_same_end(folder, one.reference, same_steps=False)


def broken_off(what: str, number: int) -> Callable[[], None]:
    """Sends a signal when the second evaluation (or drawing) begins; it ends at the next call of a network."""

    def prepare() -> None:
        original, times = getattr(gradtrain.run, what), 0

        def watched(task: Any, networks: Any, *rest: Any) -> Any:
            nonlocal times
            times += 1
            if times == 2:
                send(number)
            return original(task, networks, *rest)

        setattr(gradtrain.run, what, watched)

    return prepare


@pytest.mark.fault("F07", "F32", "F33", "F35")
@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
@pytest.mark.parametrize("name", NAMES[:3])
def test_an_evaluation_is_broken_off_and_done_again(
    name: str, number: signal.Signals, kind: Kinds, tmp_path: Path
) -> None:
    """It is not awaited; what it would have decided (best weights, patience, learning rate) is decided later."""
    one, folder = kind(name), tmp_path / "run"
    prepare = broken_off("measure", number)
    assert ended(living(one.config, folder, prepare=prepare)) == STATUS[number]
    assert_interrupted(folder, number)
    assert checkpoint.newest(folder / "checkpoints").facts["memory"]["pending"] is True
    assert ended(living(one.config, folder)) == 0
    assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F32")
def test_a_drawing_is_broken_off_and_done_again(tmp_path: Path) -> None:
    text = """
name: letters
device: cpu
data:
  source: {text: {path: PATH}}
  split: {val: 0.2}
  windows: {length: 8}
  batch_size: 16
model: {layers: [{embedding: {width: 8, vocab: $data.vocab}}, {gru: 8}, {linear: $data.vocab}]}
objective: language_model
loss: cross_entropy
optimizer: {adam: 0.01}
training: {steps: 6}
evaluation: {every: 2 steps}
checkpoint: {every: 4 steps}
sampling: {every: 3 steps, prompt: a, length: 40}
logging: {every: 1 step}
"""
    (tmp_path / "t.txt").write_text("abcde fghij klmno\n" * 40)
    (tmp_path / "config.yaml").write_text(text.replace("PATH", str(tmp_path / "t.txt")))
    config, folders = tmp_path / "config.yaml", (tmp_path / "whole", tmp_path / "broken")
    assert ended(living(config, folders[0])) == 0
    assert ended(living(config, folders[1], prepare=broken_off("drawn", signal.SIGTERM))) == 143
    assert_interrupted(folders[1], signal.SIGTERM)
    assert RunFolder(folders[1]).status()["step"] == 6
    assert ended(living(config, folders[1])) == 0
    assert_same_end(folders[1], folders[0], same_steps=False)
    drawn = [{path.name: path.read_bytes() for path in (folder / "samples").iterdir()} for folder in folders]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 2


@pytest.mark.fault("F32")
@pytest.mark.parametrize("event", ["evaluated", "saved", "test"])
def test_a_signal_between_all_that_follows_a_step(event: str, kind: Kinds, tmp_path: Path) -> None:
    """A run that is stopped at each of its evaluations (saves), again and again; and when all training is done."""
    one, folder, lives, status = kind("average-of-the-weights"), tmp_path / "run", 0, 143

    def tell(what: str, number: int, split: str) -> None:
        mark = tmp_path / f"{what}-{number}"  # once each: the last words would never be finished otherwise
        if (what == event or split == event) and not mark.exists():
            mark.touch()
            send(signal.SIGTERM)

    while status == 143:
        lives += 1
        assert lives < 100
        status = ended(living(one.config, folder, Telling(tell)))
        if status == 143:
            assert_interrupted(folder, signal.SIGTERM)
    assert status == 0
    assert lives > (0 if event == "test" else 10), "a run whose last word was said is finished"
    assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F32")
@pytest.mark.parametrize(("step", "saved"), [(2, 2), (4, 4), (7, 8)])
def test_a_long_step_is_broken_off_where_nothing_else_is_lost(step: int, saved: int, tmp_path: Path) -> None:
    """L-BFGS at its first further point: behind a checkpoint the step is given up; elsewhere it is finished."""
    config, folders = tmp_path / "config.yaml", (tmp_path / "whole", tmp_path / "broken")
    config.write_text(SEARCHING)
    assert ended(living(config, folders[0])) == 0

    def prepare() -> None:
        original, times = Searching.step, 0

        def watched(self: Any, precision: Any, lr: float, evaluate: Callable[[], Any]) -> None:
            nonlocal times
            times += 1
            calls = 0

            def told() -> Any:
                nonlocal calls
                calls += 1
                if (times, calls) == (step + 1, 1):
                    send(signal.SIGTERM)
                return evaluate()

            original(self, precision, lr, told)

        Searching.step = watched  # type: ignore[method-assign]

    assert ended(living(config, folders[1], prepare=prepare)) == 143
    assert_interrupted(folders[1], signal.SIGTERM)
    assert RunFolder(folders[1]).status()["step"] == saved
    assert ended(living(config, folders[1])) == 0
    assert_same_end(folders[1], folders[0], same_steps=False)


@pytest.mark.fault("F33")
def test_a_second_interrupt_ends_at_once(kind: Kinds, tmp_path: Path) -> None:
    """Even in the middle of a computation that lets nobody in: the kernel does it."""
    one, folder = kind("conv-crop-flip-batch-norm"), tmp_path / "run"
    read, write = os.pipe()

    def tell(what: str, number: int, split: str) -> None:
        if (what, number) == ("step", 20):
            send(signal.SIGINT)
            os.write(write, b".")
            _ = 7 ** (1 << 26)  # half a minute in one instruction

    pid = living(one.config, folder, Telling(tell))
    os.close(write)
    os.read(read, 1)
    os.close(read)
    began = time.monotonic()
    os.kill(pid, signal.SIGINT)
    assert ended(pid) == -signal.SIGINT, "what a shell shows as 130"
    assert time.monotonic() - began < 10
    assert RunFolder(folder).state() == "killed"
    assert ended(living(one.config, folder)) == 0
    assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F33")
@pytest.mark.parametrize("times", [pytest.param(5, id="5"), pytest.param(50, id="50", marks=pytest.mark.slow)])
def test_two_interrupts_at_random_times_spoil_nothing(times: int, kind: Kinds, tmp_path: Path) -> None:
    draw, one = random.Random(times), kind("early-stopping")
    for life in range(times):
        folder = tmp_path / str(life)
        pid = living(one.config, folder, ready=True)
        time.sleep(draw.random() * one.seconds * 0.8)
        os.kill(pid, signal.SIGINT)
        time.sleep(draw.random() * 0.003)
        os.kill(pid, signal.SIGINT)
        assert ended(pid) in (0, 130, -signal.SIGINT)
        assert ended(living(one.config, folder)) == 0
        assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F34", "F35")
def test_an_interrupt_is_heard_where_a_shell_ignores_it_and_nohup_is_heeded(kind: Kinds, tmp_path: Path) -> None:
    one = kind("dropout-noise-plateau")

    def ignoring() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    for number, code in ((signal.SIGINT, 130), (signal.SIGHUP, 0)):
        folder = tmp_path / number.name
        pid = living(one.config, folder, prepare=ignoring)
        wait_for_lines(folder, 5)
        os.kill(pid, number)
        assert ended(pid) == code
        if code:
            assert_interrupted(folder, number)
            assert ended(living(one.config, folder)) == 0
        assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F36")
@pytest.mark.parametrize("name", NAMES)
def test_twenty_requests_to_save_change_no_bit(name: str, kind: Kinds, tmp_path: Path) -> None:
    """SIGUSR1 in steps, evaluations and saves: each has its checkpoint, and the run goes on."""
    one, folder = kind(name), tmp_path / "run"
    read, write = os.pipe()
    sent: list[int] = []

    def tell(what: str, number: int, split: str) -> None:
        if what == "saved" and sent and sent[-1] in (number, number - 1):
            os.write(write, b".")
        elif len(sent) < 20 and number % 3 == 1 and (not sent or number > sent[-1] + 1):
            sent.append(number)
            send(signal.SIGUSR1)

    assert ended(living(one.config, folder, Telling(tell))) == 0
    os.close(write)
    assert len(os.read(read, 100)) >= 20
    os.close(read)
    assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F36")
def test_a_request_to_save_in_start_up_is_kept_until_the_first_step(kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("dropout-noise-plateau"), tmp_path / "run"

    def tell(what: str, number: int, split: str) -> None:
        if what == "saved":
            send(signal.SIGTERM)

    def prepare() -> None:
        load_and_send(signal.SIGUSR1)

    assert ended(living(one.config, folder, Telling(tell), prepare=prepare)) == 143
    assert RunFolder(folder).status()["step"] == 1


def load_and_send(number: int) -> None:
    """Has the data send a signal while it is read."""
    original = Moons.load

    def load(self: Moons, base: Path) -> Any:
        send(number)
        return original(self, base)

    Moons.load = load  # type: ignore[method-assign]


@pytest.mark.fault("F32", "F33", "F35")
@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_while_data_is_read_leaves_nothing(number: signal.Signals, kind: Kinds, tmp_path: Path) -> None:
    """And a run that is to go on stays as it is."""
    one, folder = kind("dropout-noise-plateau"), tmp_path / "run"

    def prepare() -> None:
        signal.signal(number, signal.SIG_DFL)  # nohup has it ignored
        load_and_send(number)

    assert ended(living(one.config, folder, prepare=prepare)) == STATUS[number]
    assert not folder.exists()

    def tell(what: str, step: int, split: str) -> None:
        if what == "saved":
            send(signal.SIGTERM)

    assert ended(living(one.config, folder, Telling(tell))) == 143
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    assert ended(living(one.config, folder, prepare=prepare)) == STATUS[number]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"} == before
    assert ended(living(one.config, folder)) == 0
    assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F32")
@pytest.mark.parametrize("when", ["the folder is made", "the run begins"])
def test_a_signal_between_the_folder_and_the_first_step_leaves_a_run_to_resume(
    when: str, kind: Kinds, tmp_path: Path
) -> None:
    one, folder = kind("dropout-noise-plateau"), tmp_path / "run"

    def prepare() -> None:
        owner, name = (RunFolder, "begin") if when == "the folder is made" else (Telling, "begin")
        original = getattr(owner, name)

        def begin(self: Any, *words: Any) -> None:
            send(signal.SIGTERM)
            original(self, *words)

        setattr(owner, name, begin)

    assert ended(living(one.config, folder, Telling(lambda *event: None), prepare=prepare)) == 143
    status = RunFolder(folder).status()
    assert [status[key] for key in ("state", "step", "reason")] == ["interrupted", 0, "SIGTERM, before the first step"]
    assert checkpoint.steps(folder / "checkpoints") == []
    assert ended(living(one.config, folder)) == 0
    assert_same_end(folder, one.reference, same_steps=False)


@pytest.mark.fault("F32", "F33", "F34", "F35", "F36")
@pytest.mark.parametrize(
    ("number", "code"), [*STATUS.items(), (signal.SIGUSR1, 0)], ids=lambda value: getattr(value, "name", "")
)
@pytest.mark.parametrize("command", ["train", "resume"])
def test_signals_are_heard_before_torch_is_imported(
    command: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """A torch that takes its time, and ends the process quietly when it is through."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "import os, sys\nprint('here', flush=True)\nsys.stdin.readline()\nos._exit(0)\n"
    )
    (tmp_path / "config.yaml").write_text("name: a\n")
    shell = "trap '' INT; exec" if number == signal.SIGINT else "exec"  # as `&` does
    process = subprocess.Popen(
        ["bash", "-c", f'{shell} "$@"', "bash", sys.executable, "-m", "gradtrain", command, "config.yaml"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    err = process.communicate("\n", timeout=60)[1]
    assert process.returncode == code, err
    assert "Traceback" not in err
    if code:
        assert err == f"interrupted: {number.name}, before there was anything to save\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.fault("F37")
def test_a_process_that_is_stopped_for_a_while_goes_on(kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("average-of-the-weights"), tmp_path / "run"
    pid = living(one.config, folder)
    for lines in (3, 20):
        wait_for_lines(folder, lines)
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        time.sleep(1.5)  # this is what is tested
        os.kill(pid, signal.SIGCONT)
    assert ended(pid) == 0
    assert_same_end(folder, one.reference, same_steps=False)
