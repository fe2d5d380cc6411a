"""Two themes: a calm one, and one in the colours of Okabe and Ito, which people with any colour vision tell apart.

M. Okabe and K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/. Colour never carries meaning alone
on any screen; the second theme is for comfort.
"""

from __future__ import annotations

from textual.theme import Theme

PARTS = ("#7aa2f7", "#bb9af7", "#56c2d6", "#e0af68", "#9ece6a", "#f08da8", "#8fa8c8")
"""Segments of the bar in the calm theme."""
OKABE_ITO = ("#56b4e9", "#cc79a7", "#009e73", "#e69f00", "#f0e442", "#d55e00", "#4c9fd8")
"""Segments of the bar; the blue is lighter than the original, for dark backgrounds."""


def _numbered(colours: tuple[str, ...]) -> dict[str, str]:
    return {f"part{i}": colour for i, colour in enumerate(colours)}


QUIET = {
    "quiet": "#8791a8",
    "footer-background": "#171b24",
    "footer-key-foreground": "#e0af68",
    "border-blurred": "#343b4d",
}
CALM = Theme(
    name="calm",
    primary="#7aa2f7",
    secondary="#bb9af7",
    accent="#e0af68",
    foreground="#c8d0e0",
    background="#11141b",
    surface="#171b24",
    panel="#1f2531",
    success="#8fcf6f",
    warning="#e8b45a",
    error="#f2727f",
    dark=True,
    variables={**_numbered(PARTS), **QUIET, "border": "#7aa2f7"},
)
CLEAR = Theme(
    name="okabe-ito",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#f0e442",
    foreground="#f2f2f2",
    background="#000000",
    surface="#0d0d0d",
    panel="#1c1c1c",
    success="#2bbf95",
    warning="#e69f00",
    error="#ff7a33",
    dark=True,
    variables={
        **_numbered(OKABE_ITO),
        "quiet": "#a8a8a8",
        "border": "#56b4e9",
        "border-blurred": "#5a5a5a",
        "footer-background": "#0d0d0d",
        "footer-key-foreground": "#f0e442",
    },
)
THEMES = (CALM, CLEAR)


def own_colours(theme: Theme) -> dict[str, str]:
    """Colours of segments and of quiet text for a theme that does not name them."""
    found = [theme.primary, theme.secondary, theme.accent, theme.warning, theme.success, theme.error, theme.foreground]
    usual = [theme.primary if colour is None else colour for colour in found]
    return {**_numbered(tuple(usual)), "quiet": "auto 60%"}
