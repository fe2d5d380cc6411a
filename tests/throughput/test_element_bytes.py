"""The bytes between the products, against every operation that PyTorch dispatches for one layer of transformers."""

from collections.abc import Iterator
from typing import Any

import pytest

from vram_advisor.throughput.cache import reaching_memory
from vram_advisor.throughput.step_bytes import (
    ADAPTER_16_BIT,
    ADAPTER_AUTOCAST,
    ADAPTER_FP32,
    ADAPTER_FP32_BASE,
    FRAMEWORK,
    FRAMEWORK_CAST,
    FRAMEWORK_FP32,
    AdapterTraffic,
    Traffic,
)

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

TOKENS, HIDDEN, INNER, QUERY, KEY, RANK = 61, 768, 2048, 768, 256, 8
HEAD = 64
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WIDTH = 2 * (HIDDEN + QUERY) + 2 * (HIDDEN + KEY) + 3 * (HIDDEN + INNER)
VIEWS = frozenset(
    [
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "expand",
        "slice",
        "unsqueeze",
        "squeeze",
        "select",
        "permute",
        "detach",
        "alias",
        "as_strided",
        "split",
    ]
)
ELSEWHERE = frozenset(["ones_like", "empty_like", "_scaled_dot_product_flash_attention_for_cpu"])
"""Neither a kernel of the layer nor between its products."""


def traffic_of(full: bool, stored: Any, autocast: bool, adapters_fp32: bool) -> tuple[float, float]:
    """Bytes per token of the forward and of the backward pass of a layer, products with the base left out."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    counted = {"forward": 0, "backward": 0}
    phase = "forward"

    def wide(tensors: Any) -> Iterator[Any]:
        """Elements that grow with the tokens; tables of the rotation and sums per token are small."""
        for each in tree_leaves(tensors):
            if isinstance(each, torch.Tensor) and TOKENS in each.shape and each.numel() > TOKENS * 2 * HEAD:
                yield each

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            if name in VIEWS or name in ELSEWHERE or name.endswith("cpu_backward"):
                return out
            everything = [t for t in tree_leaves((args, out)) if isinstance(t, torch.Tensor)]
            if name == "mm" and not any(RANK in t.shape for t in everything):
                return out
            for tensor in (*wide((args, kwargs)), *wide(out)):
                held = [n for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
                counted[phase] += torch.Size(held).numel() * tensor.element_size()
            return out

    config = transformers.LlamaConfig(
        hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=1, num_attention_heads=QUERY // HEAD,
        num_key_value_heads=KEY // HEAD, vocab_size=32,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=stored)
    base = model
    if not full:
        adapters = peft.LoraConfig(r=RANK, target_modules=list(TARGETS), task_type="CAUSAL_LM")
        model = peft.get_peft_model(model, adapters, autocast_adapter_dtype=adapters_fp32)
    model.train()
    positions = torch.arange(TOKENS)[None]
    hidden = torch.randn(1, TOKENS, HIDDEN, dtype=stored, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        rotation = base.model.rotary_emb(hidden, positions)
        with Counting():  # type: ignore[no-untyped-call]
            out = base.model.layers[0](hidden, position_embeddings=rotation, position_ids=positions)
            phase = "backward"
            torch.autograd.backward(out, torch.ones_like(out))
    return counted["forward"] / TOKENS, counted["backward"] / TOKENS


CASES = {
    "full": (True, "bfloat16", True, FRAMEWORK, None),
    "fp32 adapters under autocast": (False, "bfloat16", True, FRAMEWORK, ADAPTER_AUTOCAST),
    "fp32 adapters without autocast": (False, "bfloat16", False, FRAMEWORK, ADAPTER_FP32),
    "16-bit adapters": (False, "bfloat16", True, FRAMEWORK, ADAPTER_16_BIT),
    "full in fp32": (True, "float32", False, FRAMEWORK_FP32, None),
    "full in fp32 under autocast": (True, "float32", True, FRAMEWORK_CAST, None),
    "adapters in fp32": (False, "float32", False, FRAMEWORK_FP32, ADAPTER_FP32_BASE),
}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("case", CASES)
def test_each_kernel_of_a_layer_is_counted(case: str) -> None:
    full, stored, autocast, layer, adapter = CASES[case]
    fp32 = adapter in (ADAPTER_AUTOCAST, ADAPTER_FP32, ADAPTER_FP32_BASE)
    forward, backward = traffic_of(full, getattr(torch, stored), autocast, fp32)
    assert forward == pytest.approx(foreseen(layer, adapter, False), rel=0.02)
    assert backward == pytest.approx(foreseen(layer, adapter, True), rel=0.02)


def foreseen(layer: Traffic, adapter: AdapterTraffic | None, backward: bool) -> int:
    elements = layer.backward if backward else layer.forward
    found = elements.hidden * HIDDEN + elements.inner * INNER + elements.rotated * (QUERY + KEY)
    if adapter is not None:
        return found + (adapter.backward if backward else adapter.forward) * WIDTH
    return found + (2 * HIDDEN * layer.gain if backward else 0)


def test_the_cache_of_a_card_hands_on_what_fits() -> None:
    from vram_advisor.sources.catalog_gpus import find_gpu

    small, large = (reaching_memory(find_gpu("l40s"), tokens, 4096) for tokens in (2048, 32768))
    assert small < 0.5 < 0.95 < large < 1
    assert reaching_memory(find_gpu("rtx-a6000"), 2048, 4096) > 0.95
