"""Configs to start from, for `gradtrain init`."""

from __future__ import annotations

from pathlib import Path

from gradtrain.problems import Place, Problem, did_you_mean, quote
from gradtrain.storage.files import refused

_HEAD = """\
# gradtrain train {file}
name: {name}
seed: 0
"""

TEMPLATES = {
    "classify": """
data:
  source: digits                  # or {csv: {path: table.csv, target: kind}}, …; `gradtrain list datasets`
  split: {train: 0.7, val: 0.15, test: 0.15, stratify: true}
  transforms: [flatten, standardize]
  batch_size: 64

model:
  mlp: {hidden: [128, 64], out: $data.classes, dropout: 0.1}

loss: cross_entropy
optimizer:
  adam: {lr: 1e-3}
training: {epochs: 30}
evaluation: {every: 1 epoch, metrics: [accuracy]}
checkpoint: {best: val.accuracy}
early_stopping: {patience: 10}
""",
    "regress": """
data:
  source: {polynomial: {count: 400}}   # or {csv: {path: table.csv, target: price}}; `gradtrain list datasets`
  target: {kind: value}
  split: {train: 0.7, val: 0.15, test: 0.15}
  transforms: [standardize]
  batch_size: 32

model:
  mlp: {hidden: [64, 64], out: 1, activation: silu}

loss: mse
optimizer:
  adam: {lr: 3e-3}
training: {epochs: 100}
evaluation: {every: 5 epochs, metrics: [rmse, r2]}
checkpoint: {best: val.rmse}
""",
    "images": """
data:
  source: digits                  # or {fashion_mnist: {root: FOLDER}}, {idx: {images: FILE, labels: FILE}}
  split: {train: 0.7, val: 0.15, test: 0.15, stratify: true}
  transforms: [{to_float: 16}]    # the largest pixel becomes 1
  augment: [{random_crop: {size: 8, padding: 1}}]
  batch_size: 64

normalization: batch_norm
model:
  cnn: {widths: [16, 32], out: $data.classes}

loss: cross_entropy
optimizer:
  sgd: {lr: 0.05, momentum: 0.9, nesterov: true}
schedule:
  one_cycle: {max_lr: 0.1}
  by: step
training: {epochs: 20}
evaluation: {every: 1 epoch, metrics: [accuracy]}
checkpoint: {best: val.accuracy}
""",
    "text": """
data:
  source: tinyshakespeare         # or {text: {path: FILE}}, {lines: {path: FILE}}; `gradtrain list datasets`
  split: {val: 0.1}               # in order: the last tenth
  windows: {length: 64, start: random}
  batch_size: 12

model:
  gpt: {layers: 2, heads: 4, width: 64, vocab: $data.vocab}
  init:
    - normal: {std: 0.02}

objective: language_model
loss: cross_entropy
optimizer:
  adamw: {lr: 3e-3, weight_decay: 0.1}
schedule:
  cosine: {warmup: 50, min_lr: 1e-4}
  by: step
training: {steps: 1000, clip_norm: 1.0}
evaluation: {every: 250 steps, batches: 20, metrics: [bits_per_char]}
sampling: {every: 500 steps, length: 300}
""",
    "vae": """
data:
  source: digits                  # or fashion_mnist; `gradtrain list datasets`
  split: {val: 0.1, test: 0.1}
  transforms: [{to_float: 16}, flatten]   # the largest pixel becomes 1: a bernoulli likelihood needs 0..1
  batch_size: 64

models:
  encoder:
    layers: [{linear: 128}, relu, {gaussian: 8}]
  decoder:
    input: 8
    layers: [{linear: 128}, relu, {linear: $data.features}]

objective: {vae: {likelihood: bernoulli}}
optimizer:
  adam: {lr: 1e-3}
training: {epochs: 50}
evaluation: {every: 5 epochs}
sampling:
  - {source: prior, count: 32, every: 50 epochs}
  - {source: reconstruction, count: 8, every: 50 epochs}
""",
}


def write(template: str, out: Path | None) -> Path:
    """Write a template to a new file and return its path. Raises `Problem` (usage)."""
    if template not in TEMPLATES:
        raise Problem(
            "unknown-template",
            f"no template is named {quote(template)}",
            why=f"there are {', '.join(f'`{t}`' for t in TEMPLATES)}",
            help=did_you_mean(template, TEMPLATES),
        )
    path = out or Path(f"{template}.yaml")
    text = _HEAD.format(file=path.name, name=template) + TEMPLATES[template]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Problem(
            "file-exists",
            f"{quote(str(path))} exists",
            Place(str(path)),
            "`init` never writes over a file",
            "name another one with `--out`",
        ) from None
    except OSError as error:
        raise refused(error, path) from None
    return path
