"""The picture of the README: ``python tests/tui/screenshot.py docs/terminal-app.svg``, to be looked at before it is kept."""

import asyncio
import sys
from pathlib import Path

from screen_text import settled

from vram_advisor.domain.plan import Workload
from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.situation import Situation


async def picture(file: Path) -> None:
    """A fine-tune that fits a card with little to spare."""
    situation = Situation(
        model="llama-3.1-8b", gpu="rtx-4080", workload=Workload(method="qlora", micro_batch_size=2)
    ).having(quantization="nf4_double")
    app = AdvisorApp(situation=situation)
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        file.write_text(app.export_screenshot(title="vram-advisor"), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(picture(Path(sys.argv[1])))
