"""Colours of shares: two ramps and a set for the colour-blind. Contract: spec/web-ui.md 5.5, 11.2."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage
from tests.conftest import ROOT

# Machado, Oliveira and Fernandes 2009, severity 1: what people see whose eyes lack one kind of cones.
VISIONS = {
    "all": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
# Björn Ottosson 2020, OKLab: distances between colours as people see them.
TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
APART = 0.06  # three times what is just told apart side by side


def linear(colour: str) -> NDArray[np.float64]:
    value = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    high, low = sorted(
        (float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other)), reverse=True
    )
    return (high + 0.05) / (low + 0.05)


def seen(colour: str, vision: str) -> NDArray[np.float64]:
    light = np.clip(VISIONS[vision] @ linear(colour), 0, 1)
    lab: NDArray[np.float64] = TO_LAB @ np.cbrt(TO_CONES @ light)
    return lab


def theme(mode: str) -> dict[str, str]:
    text = (ROOT / "frontend" / "src" / "theme" / "theme.scss").read_text()
    block = text.split(f"@mixin {mode} {{")[1].split("\n}")[0]
    return dict(re.findall(r"--mon-([\w-]+): (#[0-9a-f]{6});", block))


def palette(mode: str, name: str) -> list[str]:
    colours = theme(mode)
    return [colours[f"{name}-{number}"] for number in range(1, 99) if f"{name}-{number}" in colours]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_palettes_have_their_steps_and_are_seen_on_their_panel(mode: str) -> None:
    for name, steps in (("share", 11), ("share-alt", 12), ("share-safe", 13)):
        colours = palette(mode, name)
        assert len(set(colours)) == len(colours) == steps
        for colour in colours:
            assert contrast(colour, theme(mode)["panel"]) >= 3, (name, colour)
    if mode == "light":
        ramp, other = palette(mode, "share"), palette(mode, "share-alt")
        assert (ramp[0], ramp[-1], other[0], other[-1]) == ("#00876c", "#d43d51", "#0022bb", "#003f5c")


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_safe_colours_are_told_apart_with_any_vision(mode: str, vision: str) -> None:
    for one, other in combinations(palette(mode, "share-safe"), 2):
        assert float(np.linalg.norm(seen(one, vision) - seen(other, vision))) > APART, (one, other)


FILLS = "plot => [...plot.querySelectorAll('svg[data-plot] path')].map(slice => slice.getAttribute('fill'))"


def test_users_projects_and_the_colour_blind_have_palettes_of_their_own(
    visit: OpenPage, centre: Centre
) -> None:
    setting = {"key": "plotConfiguration_colorblindMode", "value": "true"}
    page = visit("sue", "/monitoring/analysis/alpha?startTime=last30d&entity=user&category=totalWalltime")
    plot = page.get_by_test_id("plot-top")

    def slices(name: str) -> None:
        expect(plot.locator("svg[data-plot] path").first).to_have_attribute(
            "fill", re.compile(rf"--mon-{name}-\d+\)")
        )
        fills = plot.evaluate(FILLS)
        assert len(fills) == len(set(fills)) > 3
        assert all(re.fullmatch(rf"var\(--mon-({name}-\d+|line-strong)\)", fill) for fill in fills), fills

    slices("share")
    # a gap in the colour of the panel parts neighbours that are alike
    slice = plot.locator("svg[data-plot] path").first
    assert float(slice.evaluate("path => parseFloat(getComputedStyle(path).strokeWidth)")) >= 1
    panel = page.get_by_test_id("panel-top").evaluate("panel => getComputedStyle(panel).backgroundColor")
    expect(slice).to_have_css("stroke", panel)
    page.goto(
        f"{centre.url}/monitoring/analysis/alpha?startTime=last30d&entity=project&category=totalWalltime"
    )
    slices("share-alt")
    try:
        assert page.request.post(f"{centre.url}/frontend/configuration/", form=setting).ok
        page.reload()
        slices("share-safe")
    finally:
        page.request.post(f"{centre.url}/frontend/configuration/", form=setting | {"value": "false"})
