"""The page in a real browser: it draws, nothing is complained about, its controls work, and it fits a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.report.page import page, recorded

Lines = list[dict[str, Any]]
Written = Callable[..., Path]

pytestmark = pytest.mark.xdist_group("chromium")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes the page about folders."""

    def write(*folders: Path) -> Path:
        path = tmp_path / "page.html"
        path.write_text(page(recorded(list(folders)), "2026-01-01 00:00 UTC"))
        return path

    return write


@pytest.fixture
def one(made: Callable[..., Path], full: Lines, written: Written) -> Path:
    """The page about one run with everything."""
    return written(made("full", full, kept={"labels": ["cat", "dog"]}))


@pytest.fixture
def many(made: Callable[..., Path], full: Lines, written: Written, config: str) -> Path:
    """The page about three runs, two of them the same but for the seed."""
    folders = [made(f"r{seed}", full, config=f"{config}seed: {seed}\n") for seed in (1, 2)]
    return written(*folders, made("other", full, config=config.replace("1e-2", "5e-3")))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_draws_without_complaints_and_without_a_request(browser: Any, one: Path, width: int, dark: bool) -> None:
    browser.open(one, width, 844, dark=dark, touch=width < 500)
    browser.drawn(".chart")
    assert browser.run("document.querySelectorAll('.chart .main-svg').length") >= 7
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 23, 26)") == dark


def test_a_foreign_script_does_not_run(browser: Any, one: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    planted = '<script>document.title = "planted"</script><img src="x" onerror="document.title = \'planted\'"></main>'
    other.write_text(one.read_text().replace("</main>", planted))
    browser.open(other)
    assert "planted" not in browser.run("document.title")
    browser.hears("Content Security Policy")  # so complaints() does hear them


def test_names_are_text_in_charts_too(browser: Any, made: Any, full: Lines, written: Written) -> None:
    evil = "<a href='https://evil.example'>x</a><b>y</b>%{x}"
    text = json.dumps(full).replace("head.weight", evil).replace("cross_entropy", evil).replace("depth_ratio", evil)
    folders = [made(f"<b>run{i}", json.loads(text)) for i in range(2)]
    browser.open(written(*folders))
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.drawn(".chart")
    assert browser.run("document.querySelectorAll('.chart a:not(.modebar-btn), .chart b, svg a').length") == 0
    labels = browser.run("[...document.querySelectorAll('.maps .ytick text')].map(one => one.textContent)")
    assert any("</b>%{x}" in label for label in labels)
    assert browser.complaints() == []


def test_hovering_shows_the_values(browser: Any, one: Path) -> None:
    browser.open(one)
    browser.drawn(".charts .chart")
    browser.run("document.querySelector('.charts .chart').scrollIntoView({block: 'center'})")
    place = """(() => {
        const plot = document.querySelector('.charts .plot');
        const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
        return [box.x + plot._fullLayout.xaxis.d2p(100), box.y + box.height / 2];
    })()"""
    x, y = browser.run(place)
    browser.point(x - 3, y)
    browser.point(x, y)
    words = "document.querySelector('.charts .hoverlayer')?.textContent"
    browser.until(f"{words}?.includes('train') && {words}.includes('val')")


def test_the_logarithmic_scale_and_smoothing(browser: Any, one: Path) -> None:
    browser.open(one)
    browser.drawn(".charts .chart")
    axis = "document.querySelector('.charts .plot')._fullLayout.yaxis.type"
    shown = "JSON.stringify(document.querySelector('.charts .plot').data.find(one => one.name === 'train').y)"
    before = browser.run(shown)
    assert browser.run(axis) == "linear"
    browser.run("document.getElementById('log').click()")
    assert browser.run(axis) == "log"
    flat = "document.querySelectorAll('.charts .plot')[1]._fullLayout.yaxis.type"
    assert browser.run(flat) == "linear"  # of accuracy nobody reads the logarithm
    browser.run("smooth.value = 0.9; smooth.dispatchEvent(new Event('input'))")
    after = json.loads(browser.run(shown))
    raw = json.loads(before)
    assert after[0] == pytest.approx(raw[0])
    assert after[-1] > raw[-1] * 2  # a falling curve, seen late
    assert browser.run("amount.value") == "0.9"


def test_splits_and_runs_are_filtered(browser: Any, one: Path, many: Path) -> None:
    names = "document.querySelector('.charts .plot').data.filter(one => one.name).map(one => one.name)"
    browser.open(many)
    browser.drawn(".charts .chart")
    assert browser.run("[...document.querySelectorAll('#lines label')].map(one => one.innerText)") == [
        "tiny, 2 seeds",
        "other",
    ]
    everything = browser.run(names)
    browser.run("document.querySelector('#lines input').click()")
    assert set(everything) - set(browser.run(names)) == {
        "tiny, 2 seeds train",
        "tiny, 2 seeds val",
        "tiny, 2 seeds test",
    }
    browser.run("document.querySelector('#means input').click()")
    assert browser.run("document.querySelectorAll('#lines label').length") == 3
    assert len(browser.run(names)) == 9


def test_everything_can_be_reached_by_keyboard(browser: Any, one: Path) -> None:
    browser.open(one)
    reached = []
    for _ in range(60):
        browser.press("Tab")
        now = browser.run(
            "(document.activeElement.id || document.activeElement.className || document.activeElement.tagName)"
        )
        reached.append(now)
        if now == "theme" and reached.count("theme") == 1:
            browser.press("Enter")
    assert reached[0] == "skip"
    assert {"theme", "log", "smooth", "SUMMARY"} <= set(reached)
    assert browser.run("document.documentElement.dataset.theme") == "dark"
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert browser.run("document.getElementById('theme').getAttribute('aria-label')") == "Theme: dark"


def test_rows_of_a_map_and_distributions_are_chosen(browser: Any, made: Any, written: Written) -> None:
    lines: Lines = []
    for step in (1, 2, 3):
        norms = {f"block{i}.weight": 0.1**i for i in range(20)}
        moments = {name: {"edges": [0.0, 1.0], "counts": [step]} for name in ("a", "b")}
        lines.append({"kind": "health", "step": step, "measures": {"gradient_norm": norms}})
        lines.append({"kind": "distributions", "step": step, "activations": moments})
    browser.open(written(made("maps", lines)))
    browser.drawn(".chart")
    rows = "document.querySelector('.maps .plot').data[0].z.length"
    assert browser.run(rows) == 20
    browser.run(
        "const s = document.querySelector('.maps input'); s.value = 'BLOCK1'; s.dispatchEvent(new Event('input'))"
    )
    assert browser.run(rows) == 11
    label = "document.querySelector('.distributions .plot').getAttribute('aria-label')"
    assert browser.run(label).startswith("Distribution of the activations of a ")
    browser.run(
        "const c = document.querySelector('.distributions select'); c.value = 1; c.dispatchEvent(new Event('change'))"
    )
    assert browser.run(label).startswith("Distribution of the activations of b ")


def test_a_link_opens_its_run(browser: Any, many: Path) -> None:
    browser.open(many)
    assert browser.run("document.querySelectorAll('details.run[open]').length") == 0
    browser.run("document.querySelector('a[href=\"#run-1\"]').click()")
    browser.until("document.getElementById('run-1').open")
    browser.until("document.querySelector('#run-1 .main-svg')")
    assert browser.complaints() == []


def test_it_can_be_printed(browser: Any, one: Path) -> None:
    browser.open(one)
    printed = browser.call("Page.printToPDF", preferCSSPageSize=False)
    assert len(printed["data"]) > 50_000
    assert browser.complaints() == []


def test_a_run_with_nothing_is_a_page_too(browser: Any, made: Any, written: Written) -> None:
    browser.open(written(made("bare", None, config="name: [broken\n")))
    assert browser.run("document.querySelector('#curves .none').innerText") == "No curves were recorded."
    assert browser.complaints() == []
