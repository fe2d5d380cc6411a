"""All programs whose files are read and written, by the names that options take."""

from vram_advisor.exchange import (
    accelerate,
    axolotl,
    deepspeed,
    litgpt,
    llama_cpp,
    llama_factory,
    lm_studio,
    ollama,
    torchtune,
    trl,
    unsloth,
    vllm,
)
from vram_advisor.exchange.keys import Program
from vram_advisor.units.errors import BadInput

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        axolotl.PROGRAM, llama_factory.PROGRAM, trl.PROGRAM, trl.TRANSFORMERS, unsloth.PROGRAM, torchtune.PROGRAM,
        litgpt.PROGRAM, deepspeed.PROGRAM, accelerate.PROGRAM, vllm.PROGRAM, llama_cpp.SERVER, llama_cpp.CLI,
        ollama.PROGRAM, lm_studio.PROGRAM,
    )
}  # fmt: skip


def program_named(name: str, option: str) -> Program:
    """A program by its name.

    Raises:
        BadInput: there is none of that name.
    """
    found = PROGRAMS.get(name.strip().lower())
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(name, PROGRAMS, n=1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise BadInput(f"{option} {name[:40]}: should be one of {', '.join(PROGRAMS)}{hint}.")
    return found
