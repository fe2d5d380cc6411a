"""Colours of reports by day and by night, and the hatches that tell parts apart without them.

Colours stand in rules of a style sheet with plain values, because some programs that draw SVG know no variables of CSS.
"""

from __future__ import annotations

from string import Template
from xml.etree.ElementTree import Element

from vram_advisor.report.formats.markup import node

LIGHT = {
    "page": "#f5f6f9", "card": "#ffffff", "edge": "#dfe3ea", "ink": "#161b26", "soft": "#566072", "code": "#eef1f6",
    "p0": "#4263eb", "p1": "#d9480f", "p2": "#0c8599", "p3": "#9c36b5", "p4": "#a87900", "p5": "#5f7488",
    "over": "#8a93a3", "free": "#e7ebf2", "held": "#b3bac6", "hatch": "#ffffff",
    "fits": "#14713a", "tight": "#8a5a00", "spill": "#7a3fc4", "no": "#c11c28", "unknown": "#0b62c4",
    "fits_tint": "#dcf5e4", "tight_tint": "#fdf0c9", "spill_tint": "#efe4fd", "no_tint": "#fde3e3",
    "unknown_tint": "#dfecfd",
}  # fmt: skip
DARK = {
    "page": "#0c1017", "card": "#151b26", "edge": "#2b3444", "ink": "#eceff5", "soft": "#a1acbf", "code": "#0f141d",
    "p0": "#7c95ff", "p1": "#ff8f4d", "p2": "#3fc1d3", "p3": "#d98aec", "p4": "#e0b33b", "p5": "#93a8bd",
    "over": "#7d8798", "free": "#273246", "held": "#4d586a", "hatch": "#0c1017",
    "fits": "#5bd68b", "tight": "#f0c14b", "spill": "#c9a1ff", "no": "#ff8a85", "unknown": "#79b8ff",
    "fits_tint": "#123322", "tight_tint": "#38290a", "spill_tint": "#2c1d47", "no_tint": "#421a1c",
    "unknown_tint": "#142a46",
}  # fmt: skip
PARTS = 6
"""Colours of parts; the last one is for all that are not named."""
OUTCOMES = ("fits", "tight", "spill", "no", "unknown")
SHAPES = """
.picture{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;display:block;overflow:visible}
.strong{font-weight:650}.end{text-anchor:end}.middle{text-anchor:middle}.small{font-size:11px}
.rule{stroke-width:1}.mark{stroke-width:2.5}.dash{stroke-dasharray:4 3}.none{fill:none}.thick{stroke-width:2}
"""
COLOURS = Template(
    "".join(f".p{i}{{fill:$p{i}}}" for i in range(PARTS))
    + "".join(f".{o}{{fill:${o}}}.{o}-line{{stroke:${o}}}.{o}-tint{{fill:${o}_tint}}" for o in OUTCOMES)
    + ".over{fill:$over}.free{fill:$free}.held{fill:$held}.hatch{stroke:$hatch;stroke-opacity:.5}"
    ".picture text,.ink{fill:$ink}.picture .soft{fill:$soft}.ink-line{stroke:$ink}.soft-line{stroke:$soft}"
    ".edge-line{stroke:$edge}.cut{stroke:$card}.card{fill:$card}.dot{fill:$ink;stroke:$card;stroke-width:1.5}"
    + "".join(f".picture text.{o}{{fill:${o}}}" for o in OUTCOMES)
)
NIGHT = "@media (prefers-color-scheme:dark){%s}"


def style_sheet() -> str:
    """The rules of every picture."""
    return SHAPES + COLOURS.substitute(LIGHT) + "\n" + NIGHT % COLOURS.substitute(DARK)


def hatches(parent: Element) -> None:
    """Patterns that lie over the colours: none for the first part, another one for each that follows."""
    defs = node(parent, "defs")
    lines = {
        "h1": ("M-2,10 L10,-2 M-2,2 L2,-2 M6,10 L10,6", 8, 8),
        "h2": ("M2,4 L6,4 M4,2 L4,6", 8, 8),
        "h3": ("M3,0 L3,8", 6, 8),
        "h4": ("M-2,-2 L10,10 M-2,6 L2,10 M6,-2 L10,2", 8, 8),
        "h5": ("M0,3 L8,3", 8, 6),
        "h6": ("M0,0 L6,6 M6,0 L0,6", 6, 6),
        "h7": ("M-2,8 L8,-2 M-2,2 L2,-2 M4,8 L8,4", 6, 6),
    }
    for name, (path, width, height) in lines.items():
        pattern = node(defs, "pattern", id=name, width=width, height=height, patternUnits="userSpaceOnUse")
        node(pattern, "path", d=path, class_="hatch none", stroke_width=1.6)
