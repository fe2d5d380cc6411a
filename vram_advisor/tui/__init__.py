"""The terminal app: the values of ``check`` and ``advise`` on one screen, asked again on every key."""

from __future__ import annotations


def run(theme: str | None = None, plain: bool = False) -> str | None:
    """Open the app and return the last command line that was copied, where one was.

    Args:
        theme: name of a theme; None: that of the settings.
        plain: ASCII only, without lines drawn around panels.
    """
    # The terminal library is imported where it is used: no other command pays for it.
    from vram_advisor.tui.app import AdvisorApp

    return AdvisorApp(theme=theme, plain=plain).run()
