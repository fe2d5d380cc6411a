"""Screens as text. The only use of a private name of the terminal library."""

from textual.pilot import Pilot

from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.widgets.advice_panel import AdvicePanel


def screen_text(app: AdvisorApp) -> str:
    """What stands on the screen, without colour."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips()) + "\n"


async def settled(pilot: "Pilot[str]") -> None:
    """Wait until nothing is worked on in the background and everything is drawn."""
    for _ in range(200):
        await pilot.pause()
        working = any(not worker.is_finished for worker in pilot.app.workers)
        screens = [screen for screen in pilot.app.screen_stack if screen.is_mounted]
        stale = any(panel.has_class("-stale") for screen in screens for panel in screen.query(AdvicePanel))
        if not working and not stale:
            break
        await pilot.pause(0.02)
    await pilot.pause()
