"""A program that stays open lets go of what it played."""

from vram_advisor import api
from vram_advisor.domain.plan import Workload
from vram_advisor.memory.blocks import play_block
from vram_advisor.memory.forgetting import forget_parts
from vram_advisor.memory.step import compile_step


def test_nothing_is_kept_and_the_answer_is_the_same() -> None:
    def ask() -> list[int]:
        answer = api.check("qwen3-0.6b", gpu="rtx-4070", workload=Workload(method="lora"))
        return [option.estimate.peak.allocated_bytes.mid for option in answer.options]

    before = ask()
    assert play_block.cache_info().currsize and compile_step.cache_info().currsize
    forget_parts()
    assert not play_block.cache_info().currsize and not compile_step.cache_info().currsize
    assert ask() == before
