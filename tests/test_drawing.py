"""Drawings as files: pictures, tables, charts; and that drawing disturbs nothing."""

from __future__ import annotations

import csv
import io
import math
import sys

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.objectives import Drawn, Networks, Task, Wish
from gradtrain.config.sections import Sampling
from gradtrain.drawing import chart, drawn, files, grid, table
from gradtrain.problems import Problem
from gradtrain.training.batches import Batches

Image = pytest.importorskip("PIL.Image")


def opened(data: bytes):
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    return picture


@pytest.mark.parametrize(
    ("count", "height", "width", "size"),
    [
        (1, 5, 7, (11, 9)),
        (3, 4, 4, (20, 8)),  # 3 columns of 4 pixels, 2 before each and 2 at the end
        (20, 10, 12, (114, 38)),
    ],
)
def test_a_grid_has_eight_columns_and_two_pixels_between(count: int, height: int, width: int, size) -> None:
    picture = opened(grid(torch.zeros(count, 1, height, width)))
    scale = max(1, round(480 / size[0]))
    assert picture.size == (size[0] * scale, size[1] * scale)
    assert picture.mode == "L"


def test_every_picture_stands_in_its_place() -> None:
    shades = (torch.arange(10) * 25 / 255).reshape(10, 1, 1, 1).expand(-1, 1, 30, 58)
    picture = opened(grid(shades))
    assert picture.size == (8 * 60 + 2, 2 * 32 + 2)  # not enlarged
    for i in range(10):
        assert picture.getpixel((2 + i % 8 * 60 + 20, 2 + i // 8 * 32 + 10)) == 25 * i
    assert picture.getpixel((0, 0)) == picture.getpixel((2 + 2 * 60 + 20, 2 + 32 + 10)) == 255


def test_three_channels_are_colours() -> None:
    image = torch.zeros(1, 3, 100, 476)
    image[:, 2] = 1
    picture = opened(grid(image))
    assert (picture.mode, picture.getpixel((50, 50))) == ("RGB", (0, 0, 255))


def test_a_table_comes_back_from_its_text_to_the_bit() -> None:
    columns = {"given_0": torch.tensor([0.1, math.pi, math.nan]), "run_0": torch.tensor([math.nan, -1e-30, 2.0])}
    head, *rows = csv.reader(io.StringIO(table(columns).decode()))
    assert head == ["step", "given_0", "run_0"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    for place, column in enumerate(columns.values(), 1):
        again = torch.tensor([float(row[place]) if row[place] else math.nan for row in rows])
        assert torch.equal(again.nan_to_num(7), column.nan_to_num(7))


def test_a_chart_shows_its_columns_in_their_colours() -> None:
    columns = {"given_0": torch.linspace(0, 1, 50), "run_0": torch.linspace(1, 0, 50), "run_1": torch.full((50,), 0.5)}
    picture = opened(chart(columns)).convert("RGB")
    assert picture.size == (960, 360)
    colours = {colour for _, colour in picture.getcolors(1 << 16)}
    assert {(0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)} <= colours  # the first group's, and the second's
    assert (0x22, 0x88, 0x33) not in colours


@pytest.mark.parametrize("values", [[math.nan] * 3, [1.0, 1.0, 1.0], [2.0]])
def test_a_chart_of_nothing_or_of_one_value_is_drawn(values: list[float]) -> None:
    assert opened(chart({"run_0": torch.tensor(values)})).size == (960, 360)


def test_what_is_drawn_says_which_files() -> None:
    assert files(Drawn(text="ä\n"), "a") == {"a.txt": "ä\n".encode()}
    assert list(files(Drawn(images=torch.zeros(1, 1, 2, 2)), "a")) == ["a.png"]
    assert list(files(Drawn(table={"run_0": torch.zeros(3)}), "a")) == ["a.csv", "a.png"]
    assert files(Drawn(), "a") == {}


def test_without_pillow_it_is_said_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(Problem) as caught:
        grid(torch.zeros(1, 1, 2, 2))
    assert (caught.value.code, caught.value.exit_code) == ("extra-missing", 2)
    assert "gradtrain[image]" in caught.value.help


class Telling(Task):
    """Draws numbers, and says what it was asked for."""

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        self.wish, self.training, self.recorded = wish, networks["model"].training, torch.is_grad_enabled()
        return Drawn(table={"run_0": torch.randn(4)})


def asked(section: Sampling, network: nn.Module) -> tuple[Telling, Tensor]:
    task, x = Telling(), torch.arange(10.0).unsqueeze(1)
    made = drawn(task, {"model": network}, Batches({"x": x}, 8, 0), section)
    assert made.table is not None
    return task, made.table["run_0"]


def test_drawing_disturbs_neither_the_generator_nor_the_modes(seeded) -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5)).train()
    before = torch.get_rng_state()
    task, one = asked(Sampling(seed=4, count=3), network)
    assert torch.equal(torch.get_rng_state(), before)
    assert (network.training, task.training, task.recorded) == (True, False, False)
    torch.manual_seed(4)
    assert torch.equal(one, torch.randn(4))
    assert not torch.equal(one, asked(Sampling(seed=5), network)[1])


def test_the_section_is_told_with_the_first_samples() -> None:
    section = Sampling(count=3, prompt="a", length=7, temperature=0.5, top_k=2, source="reconstruction")
    wish = asked(section, nn.Linear(1, 1))[0].wish
    assert wish.batch["x"].flatten().tolist() == [0, 1, 2]
    for name in ("count", "prompt", "length", "temperature", "top_k", "source"):
        assert getattr(wish, name) == getattr(section, name)
