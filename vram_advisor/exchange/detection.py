"""Which program a file or a command line is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath

from vram_advisor.exchange.command_lines import POSITIONAL, flags, is_beside, split_environment, words_of
from vram_advisor.exchange.containers import inside_container
from vram_advisor.exchange.documents import flatten, parse_mapping
from vram_advisor.exchange.keys import Document, Program, names
from vram_advisor.exchange.llama_cpp_flags import SPELLINGS, SWITCHES
from vram_advisor.exchange.programs import PROGRAMS
from vram_advisor.exchange.trl import TRL_ONLY
from vram_advisor.units.errors import BadInput

LAUNCHERS = frozenset({"accelerate", "torchrun", "deepspeed", "python", "python3", "uv", "poetry", "ccache"})
OBJECTIVES = {"dpo": "dpo", "kto": "kto", "orpo": "orpo", "sft": "sft"}
ALLOCATOR = re.compile(r"PYTORCH_(CUDA_)?ALLOC_CONF")
LAUNCHER = "(launcher) "
"""In front of flags of what starts a script."""
HARMLESS = names(
    """
    --main-process-port --main-process-ip --machine-rank --num-machines --nnodes --node-rank --master-addr --master-port
    --standalone --rdzv-backend --rdzv-endpoint --rdzv-id --multi-gpu --module --gpu-ids --num-cpu-threads-per-process
    --dynamo-backend --same-network -m -u --with --tee --log-dir
    """
)
PROCESSES = ("--num-processes", "--nproc-per-node", "--num-gpus")
PYTHON = re.compile(r"FastLanguageModel|FastModel|FastVisionModel|get_peft_model\s*\(|UnslothTrainer")
MODELFILE = re.compile(r"(?:\s*(?:#[^\n]*)?\n)*\s*FROM[ \t]+\S", re.IGNORECASE)
COMMAND = re.compile(r"\s*(?:\$ )?(?:[A-Za-z_][A-Za-z0-9_]*=\S* +)*([^\s:=]+)(?=\s|$)")


def document_of(text: str, where: str, wanted: Program | None) -> tuple[Program, Document]:
    """The program of a text and its document of keys.

    Args:
        wanted: the program that was named; None: found by its keys.

    Raises:
        BadInput: it is of no program that is known, or cannot be read.
    """
    if command := command_of(text):
        return command_document(text, where, command, wanted)
    python = PYTHON.search(text) and not text.lstrip().startswith("{")
    if (wanted is None and not python and MODELFILE.match(text)) or (wanted and wanted.syntax == "modelfile"):
        from vram_advisor.exchange.ollama import PROGRAM, parse_modelfile

        return PROGRAM, parse_modelfile(text, where)
    if python and (wanted is None or wanted.syntax == "python"):
        from vram_advisor.exchange.python_calls import parse_calls

        return PROGRAMS["unsloth"], parse_calls(text, where)
    document = flatten(parse_mapping(text, where), where)
    program = wanted or recognised(document, where)
    if program.syntax == "command":
        # a file of such a program has its flags as keys
        document = {
            key if key.startswith("-") else f"--{key.replace('_', '-')}": value for key, value in document.items()
        }
    return program, document


def recognised(document: Document, where: str) -> Program:
    """The program most of whose marks are among the keys.

    Raises:
        BadInput: no program has any of them.
    """
    beginnings = {key[:i] for key in document for i, letter in enumerate(key) if letter == "."} | set(document)
    scores = {name: len(program.marks & beginnings) for name, program in PROGRAMS.items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] == 0:
        named = f" ({', '.join(sorted(document)[:5])[:120]})" if document else ""
        raise BadInput(
            f"{where}: none of its keys{named} belongs to a program that is known: name one with --config-format, of "
            f"{', '.join(PROGRAMS)}."
        )
    if best in ("trl", "transformers"):
        best = "trl" if TRL_ONLY & set(document) else "transformers"
    return PROGRAMS[best]


def command_of(text: str) -> str:
    """The program that a text starts, where it is a command line; an empty text where it is none."""
    for line in text.splitlines()[:200]:
        if is_beside(line) or line.lstrip().startswith("export "):
            continue
        match = COMMAND.match(line)
        name = PurePath(match[1]).name.removesuffix(".exe") if match else ""
        return name if name in _COMMANDS else ""
    return ""


def command_document(text: str, where: str, name: str, wanted: Program | None) -> tuple[Program, Document]:
    """The program of a command line and its flags as keys.

    Raises:
        BadInput: it starts something else.
    """
    environment, words = split_environment(words_of(text, where))
    if not words:
        raise BadInput(f"{where}: there is no command in it.")
    return _COMMANDS[name](words, where, environment, wanted)


def _llama(words: list[str], where: str, environment: Document, wanted: Program | None) -> tuple[Program, Document]:
    name = PurePath(words[0]).name.removesuffix(".exe")
    return PROGRAMS[name], environment | flags(words[1:], where, SPELLINGS, SWITCHES)


def _vllm(words: list[str], where: str, environment: Document, wanted: Program | None) -> tuple[Program, Document]:
    if words[1:2] != ["serve"]:
        raise BadInput(f"{where}: of vLLM's commands only vllm serve is estimated.")
    return PROGRAMS["vllm"], environment | flags(words[2:], where, PROGRAMS["vllm"].aliases, _VLLM_SWITCHES)


def _container(words: list[str], where: str, environment: Document, wanted: Program | None) -> tuple[Program, Document]:
    inside, variables = inside_container(words, where)
    read = _vllm if inside[0] == "vllm" else _llama
    return read(inside, where, environment | variables, wanted)


def _lms(words: list[str], where: str, environment: Document, wanted: Program | None) -> tuple[Program, Document]:
    if words[1:2] != ["load"]:
        raise BadInput(f"{where}: of LM Studio's commands only lms load is estimated.")
    return PROGRAMS["lm-studio"], environment | flags(
        words[2:], where, {"-c": "--context-length"}, frozenset({"-y", "--yes"})
    )


def _litgpt(words: list[str], where: str, environment: Document, wanted: Program | None) -> tuple[Program, Document]:
    document = _plain(environment | flags(words[2:], where))
    if POSITIONAL in document:
        document["checkpoint_dir"] = document.pop(POSITIONAL)
    if words[1:2] == ["finetune_lora"]:
        document.setdefault("lora_r", 8)
    return PROGRAMS["litgpt"], document


def _trainer(words: list[str], where: str, environment: Document, wanted: Program | None) -> tuple[Program, Document]:
    """``trl sft``, or a script behind a launcher."""
    objective, launcher = None, []
    left = list(words)
    if left[0] == "trl":
        objective = OBJECTIVES.get(left[1]) if len(left) > 1 else None
        if objective is None:
            raise BadInput(f"{where}: of TRL's commands trl sft, trl dpo and trl kto are estimated.")
        left = left[2:]
    else:
        script = next((i for i, word in enumerate(left) if word.endswith(".py") or word == "-m"), None)
        if script is None:
            raise BadInput(
                f"{where}: no script is started: give the whole command, such as accelerate launch sft.py ..."
            )
        if any("vllm." in word for word in left):
            return PROGRAMS["vllm"], environment | flags(
                left[script + 2 :], where, PROGRAMS["vllm"].aliases, _VLLM_SWITCHES
            )
        launcher, left = left[1:script], left[script + (2 if left[script] == "-m" else 1) :]
    document = _plain(environment | flags(left, where))
    for flag, value in flags([word for word in launcher if word != "launch"], where).items():
        if flag in PROCESSES:
            document["(processes)"] = value
        elif flag not in HARMLESS and flag != POSITIONAL:
            document[f"{LAUNCHER}{flag}"] = value
    document.pop(POSITIONAL, None)
    if objective is not None:
        document["(objective)"] = objective
    return wanted or recognised(document, where), document


def _plain(document: Document) -> Document:
    """Flags as the keys of files."""
    return {key[2:].replace("-", "_") if key.startswith("--") else key: value for key, value in document.items()}


_VLLM_SWITCHES = names(
    """
    --trust-remote-code --enforce-eager --enable-prefix-caching --no-enable-prefix-caching --enable-chunked-prefill
    --enable-auto-tool-choice --disable-log-requests --disable-log-stats --enable-lora --enable-expert-parallel
    --disable-custom-all-reduce
    """
)
_Reader = Callable[[list[str], str, Document, Program | None], tuple[Program, Document]]
_COMMANDS: dict[str, _Reader] = {
    "llama-server": _llama, "llama-cli": _llama, "vllm": _vllm, "lms": _lms, "litgpt": _litgpt, "trl": _trainer,
    "docker": _container, "podman": _container, **dict.fromkeys(LAUNCHERS, _trainer),
}  # fmt: skip
