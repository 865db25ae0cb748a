from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from gradtrain.eager import plain_step

TRAIN = """
import sys
from pathlib import Path
from gradtrain.start import start
start(Path(sys.argv[1]), overrides=["training.epochs=null", "training.steps=2"], folder=Path(sys.argv[2]))
assert "torch._dynamo" not in sys.modules
"""


def test_a_run_does_not_import_the_compiler(tmp_path: Path) -> None:
    config = Path(__file__).parents[1] / "configs" / "digits-mlp.yaml"
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(config), str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_plain_step_is_the_optimizers_own() -> None:
    weights = [torch.ones(3, requires_grad=True) for _ in range(2)]
    for weight in weights:
        weight.grad = torch.tensor([1.0, -2.0, 0.5])
    one, two = (torch.optim.AdamW([weight], lr=0.1, fused=True) for weight in weights)
    for _ in range(3):
        one.step()
        plain_step(two)()
    assert torch.equal(weights[0], weights[1])
    assert one.state_dict()["state"][0]["step"] == two.state_dict()["state"][0]["step"]
