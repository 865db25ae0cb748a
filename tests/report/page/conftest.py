"""A headless Chromium, spoken to over a pipe by the DevTools protocol; tests that need it are skipped without it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CONFIG = """\
name: tiny
data:
  source: {moons: {count: 80}}
  split: {val: 0.25, test: 0.25}
  batch_size: 16
model: {mlp: {hidden: [8], out: $data.classes}}
loss: cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 3}
evaluation: {metrics: [accuracy]}
"""
PATIENCE = 120.0
"""Seconds after which a browser that does not answer has hung."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One browser with one tab."""

    def __init__(self, profile: Path) -> None:
        told, self.tell = os.pipe()
        self.hear, telling = os.pipe()
        os.set_inheritable(told, True)
        os.set_inheritable(telling, True)
        # the protocol speaks on descriptors 3 and 4
        script = f'exec chromium "$@" 3<&{told} 4>&{telling}'
        command = ["bash", "-c", script, "chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            command,
            pass_fds=(told, telling),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(told)
        os.close(telling)
        self.waiting = b""
        self.events: list[dict[str, Any]] = []
        self.number = 0
        self.session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one command of the protocol; events that come before it are kept."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.tell, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            answer = self._next(until)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self.waiting:
            ready, _, _ = select.select([self.hear], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            read = os.read(self.hear, 1 << 20)
            assert read, "the browser has ended"
            self.waiting += read
        message, _, self.waiting = self.waiting.partition(b"\0")
        return dict(json.loads(message))

    def open(
        self, path: Path, width: int = 1280, height: int = 900, *, dark: bool = False, touch: bool = False
    ) -> None:
        """Show a file in a window of this size, until its script is done and its first charts are drawn."""
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        self.until("document.readyState === 'complete' && document.documentElement.dataset.ready === 'yes'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for a condition in the page."""
        until = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < until, f"never true: {condition}"
            self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))")

    def drawn(self, selector: str) -> None:
        """Bring every chart of a selector into view, until each is drawn."""
        count = self.run(f"document.querySelectorAll({json.dumps(selector)}).length")
        for number in range(count):
            one = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
            self.run(f"{one}.scrollIntoView({{block: 'center'}})")
            self.until(f"{one}.querySelector('.main-svg')")

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A screenshot, of the whole page or of what is in view."""
        parameters: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            parameters["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **parameters)["data"]))

    def press(self, key: str) -> None:
        """A key, down and up."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"Tab": 9, "Enter": 13, " ": 32}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse to a place in view, and press it there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self) -> list[str]:
        """What the console, the security policy or an uncaught error said since the page was opened."""
        self.run("0")  # what was said before has arrived by the time of the answer
        found = []
        for event in self.events:
            about = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(about["exceptionDetails"])[:500])
            elif event.get("method") == "Log.entryAdded":
                found.append(about["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(about["args"])[:500])
        return found

    def hears(self, words: str) -> None:
        """Wait for a complaint that holds these words: the policy's are told from outside of the page."""
        until = time.monotonic() + PATIENCE
        while not any(words in line for line in self.complaints()):
            assert time.monotonic() < until, f"never said: {words}"

    def requests(self) -> list[str]:
        """The URLs that the page asked for, itself aside."""
        sent = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent[1:] if not url.startswith(("data:", "blob:"))]

    def close(self) -> None:
        self.session = None
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        os.close(self.tell)
        os.close(self.hear)


Made = Callable[..., Path]
Line = Callable[..., dict[str, Any]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Makes a run's folder: journal lines, config, and whatever else it is to hold."""

    def make(
        name: str = "run",
        lines: list[dict[str, Any]] | None = None,
        *,
        config: str | None = None,
        status: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        kept: dict[str, Any] | None = None,
    ) -> Path:
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text(CONFIG if config is None else config)
        (folder / "status.json").write_text(json.dumps({"state": "finished", "step": 1, **(status or {})}))
        if lines is not None:
            (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if kept is not None:
            (folder / "checkpoints" / "step-00000001").mkdir()
            (folder / "checkpoints" / "step-00000001" / "trainer.json").write_text(json.dumps(kept))
        for path, content in (files or {}).items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
        return folder

    return make


@pytest.fixture(scope="session")
def config() -> str:
    """The config of a run, as it was written."""
    return CONFIG


@pytest.fixture(scope="session")
def step_line() -> Line:
    """Makes a line of the journal about a step."""
    return _step


@pytest.fixture(scope="session")
def evaluation_line() -> Line:
    """Makes a line of the journal about a split."""
    return _evaluation


def _step(step: int, **more: Any) -> dict[str, Any]:
    loss = 1.0 / (1 + step)
    said = {"loss": {"cross_entropy": loss, "total": loss}, "penalty": {}, "lr": 0.01, "grad_norm": 0.5 + loss}
    return {"kind": "step", "step": step, "epoch": 1, **said, "seconds": step / 10, **more}


def _evaluation(step: int, split: str = "val", **metrics: Any) -> dict[str, Any]:
    return {"kind": "evaluation", "step": step, "split": split, "metrics": metrics}


@pytest.fixture
def full() -> list[dict[str, Any]]:
    """A journal with every kind of line."""
    lines: list[dict[str, Any]] = []
    for step in range(10, 210, 10):
        norms = {"1.weight": 0.1 / step, "1.bias": 1.0, "head.weight": 2.0, "head.bias": 0.0}
        lines.append(_step(step))
        lines.append({"kind": "health", "step": step, "measures": {"gradient_norm": norms, "depth_ratio": 3.0 / step}})
        histogram = {"edges": [-1.0, -0.5, 0.0, 0.5, 1.0], "counts": [1, 4, 3, step]}
        lines.append(
            {
                "kind": "distributions",
                "step": step,
                "activations": {"1": histogram},
                "gradients": {"1.weight": histogram},
            }
        )
        if step % 50 == 0:
            confusion = [[30.0, 2.0], [5.0, 23.0]]
            lines.append(_evaluation(step, loss=1 / step, accuracy=0.9, confusion=confusion, f1_by_class=[0.9, 0.8]))
    about = {"kind": "finding", "name": "vanishing_gradient", "network": "model", "layer": "1"}
    said = {
        "evidence": "the norm is 5e-4 of the last layer's",
        "cause": "saturated units",
        "remedy": "relu, or kaiming",
    }
    lines.insert(20, {**about, "step": 50, "event": "began", "since": 40, **said})
    lines.append({**about, "step": 200, "event": "ended", "since": 40, **said})
    lines.append({**about, "name": "dead_units", "layer": "head", "step": 200, "event": "began", "since": 180, **said})
    lines.append({**_evaluation(200, "test", loss=0.1, accuracy=0.95), "weights": 150})
    return lines


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for the tests of a worker."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed: the page is not looked at in a browser")
    one = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield one
    finally:
        one.close()
