"""Loads files by the parsers of the programs that they are for; run in a process that has those programs.

Reads a JSON list of ``[program, text]`` and writes a JSON list: None where a text is accepted, else what was said.
"""

import ast
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml


def package(name: str) -> Path:
    """The folder of a package, without importing it."""
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent


def plugin_keys(name: str) -> set[str]:
    """Keys of a plug-in of Axolotl, which pulls in half of its dependencies where it is imported."""
    tree = ast.parse((package("axolotl") / "integrations" / name / "args.py").read_text(encoding="utf-8"))
    return {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def axolotl(text: str) -> None:
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig

    values = yaml.safe_load(text)
    known = {*AxolotlInputConfig.model_fields, *plugin_keys("liger"), *plugin_keys("cut_cross_entropy")}
    if unknown := set(values) - known:
        raise ValueError(f"no such keys: {sorted(unknown)}")
    AxolotlInputConfig(**DictDefault(values).to_dict())


def llama_factory(text: str) -> None:
    from llamafactory.hparams.parser import _TRAIN_ARGS
    from transformers import HfArgumentParser

    HfArgumentParser(_TRAIN_ARGS).parse_dict({**yaml.safe_load(text), "use_cpu": True})


def trl(text: str) -> None:
    from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump({**yaml.safe_load(text), "use_cpu": True}))
        file.flush()
        parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig))
        parser.parse_args_and_config(args=["--config", file.name], fail_with_unknown_args=True)


def transformers(text: str) -> None:
    from transformers import HfArgumentParser, TrainingArguments

    values = yaml.safe_load(text)
    # the script of a user has this option; it is no training argument
    values.pop("model_name_or_path", None)
    HfArgumentParser(TrainingArguments).parse_dict({**values, "use_cpu": True})


def unsloth(text: str) -> None:
    from trl import SFTConfig

    # Unsloth refuses to be imported without a GPU: its signatures are read in its source.
    root = package("unsloth") / "models"

    def arguments(file: str, function: str) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                found |= {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
        return found

    known = {
        "from_pretrained": arguments("loader.py", "from_pretrained") | {"attn_implementation"},
        "get_peft_model": arguments("llama.py", "get_peft_model") | {"use_dora"},
        "SFTConfig": {field.name for field in fields(SFTConfig)},
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id  # type: ignore[attr-defined]
            if unknown := {k.arg for k in node.keywords} - known[name]:
                raise ValueError(f"{name} has no {unknown}")


def torchtune(text: str) -> None:
    from omegaconf import OmegaConf
    from torchtune import config

    config.validate(OmegaConf.create(text))


def litgpt(text: str) -> None:
    from jsonargparse import ArgumentParser
    from litgpt.finetune import full, lora

    parser = ArgumentParser()
    parser.add_function_arguments((lora if "finetune_lora" in text else full).setup, fail_untyped=False)
    parser.parse_string(text)


def deepspeed(text: str) -> None:
    from deepspeed.runtime.zero.config import get_zero_config

    get_zero_config(json.loads(text))


def accelerate(text: str) -> None:
    from accelerate.commands.config.config_args import ClusterConfig

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        ClusterConfig.from_yaml_file(file.name)


PARSERS: dict[str, Callable[[str], None]] = {
    "axolotl": axolotl, "llama-factory": llama_factory, "trl": trl, "transformers": transformers, "unsloth": unsloth,
    "torchtune": torchtune, "litgpt": litgpt, "deepspeed": deepspeed, "accelerate": accelerate,
}  # fmt: skip


def verdict(program: str, text: str) -> Any:
    """None, or what the parser said."""
    try:
        PARSERS[program](text)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    told = [verdict(program, text) for program, text in json.load(sys.stdin)]
    sys.stdout.write("\n" + json.dumps(told) + "\n")
