"""A LoRA adapter in GGUF, as convert_lora_to_gguf.py of llama.cpp writes it.

Source: llama.cpp v0.5.0 ``src/llama-adapter.cpp`` (what it expects of names and shapes).
"""

from collections.abc import Iterable
from pathlib import Path

from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.llama_cpp import LoraAdapter, LoraPair
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.sources.gguf import read_gguf
from vram_advisor.units.errors import BadInput

DOWN, UP = ".lora_a", ".lora_b"
EMBEDDING = "token_embd.weight"
"""Its two matrices are stored the other way round."""


def read_adapter(path: Path, model: ModelSpec) -> LoraAdapter:
    """The adapter of a file.

    Raises:
        BadInput: the file is damaged or no adapter, or the adapter is of another model.
        NotModelled: llama.cpp does not run the model.
    """
    file = read_gguf(path)
    if not file.is_adapter:
        raise BadInput(f"{file.name} holds no LoRA adapter: make one with convert_lora_to_gguf.py.")
    made = pairs(file.tensors, file.name)
    refuse_foreign(made, model, file.name)
    return LoraAdapter(r=made[0].a.shape[0], target_modules=(), pairs=made)


def pairs(tensors: Iterable[StoredTensor], where: str) -> tuple[LoraPair, ...]:
    """Down and up of each weight, in the order of the file. Raises BadInput."""
    listed = tuple(tensors)
    down = {t.name.removesuffix(DOWN): t for t in listed if t.name.endswith(DOWN)}
    up = {t.name.removesuffix(UP): t for t in listed if t.name.endswith(UP)}
    if not down or down.keys() != up.keys():
        raise BadInput(f"{where}: matrices named .lora_a and .lora_b should come in pairs")
    for name, t in down.items():
        if len(t.shape) < 2 or len(up[name].shape) < 2:
            raise BadInput(f"{where}: {t.name[:80]} is no matrix")
    return tuple(LoraPair(name, t, up[name]) for name, t in down.items())


def refuse_foreign(made: Iterable[LoraPair], model: ModelSpec, where: str) -> None:
    """An adapter whose weights the model has not, or has in another shape. Raises BadInput, NotModelled."""
    shapes = {tensor.name: tensor.shape for tensor in model.stored_tensors or gguf_tensors(model, "F16")}
    for pair in made:
        shape = shapes.get(pair.weight)
        if shape is None:
            raise BadInput(
                f"{where} has matrices for {pair.weight[:80]}, which {model.id} has not: it is of another model"
            )
        if pair.weight == EMBEDDING:
            continue
        joined = pair.a.shape[-2] == pair.b.shape[-1]
        if len(shape) < 2 or not joined or (pair.b.shape[-2], pair.a.shape[-1]) != shape[-2:]:
            raise BadInput(
                f"{where}: {pair.weight[:80]} is {list(shape)} in {model.id}, which its matrices do not fit: it is of another "
                "model"
            )
