"""What was played is let go of: a program that stays open has little use for the steps of models it has left."""

from __future__ import annotations

from vram_advisor.memory.blocks import play_block
from vram_advisor.memory.step import compile_step
from vram_advisor.memory.timeline import step_of


def forget_steps() -> None:
    """Drop every layer and step that was played; the next question plays its own again, in some 10 ms."""
    for cached in (step_of, compile_step, play_block):
        cached.cache_clear()
