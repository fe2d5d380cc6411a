"""Inference as a timeline: worked examples from sources, laws, refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe, recipe
from vram_advisor.domain.serving import SERVING
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.inference import inference_grid
from vram_advisor.memory.vllm import engine
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB, MIB
from vram_advisor.units.errors import BadInput, NotModelled

TODAY = recipe("transformers-peft")
H100 = Device("H100", 1, "catalogue", int(79.65 * GIB), int(79.19 * GIB), sm_count=132, compute_capability="9.0")
RTX_4090 = Device(
    "RTX 4090", 1, "catalogue", int(23.99 * GIB), int(23.64 * GIB), sm_count=128, compute_capability="8.9"
)
WORKLOAD = {"context_length", "prompt_length", "num_sequences", "padding"}


def era(name: str) -> Recipe:
    row = SERVING[name]
    return Recipe(row.name, row.title, row.versions, row.evidence, row.source)


def infer(model: str, habits: Recipe = TODAY, device: Device | None = None, **choices: Any) -> Estimate:
    asked = {k: v for k, v in choices.items() if k in WORKLOAD}
    levers = {"quantization": "bf16"} | {k: v for k, v in choices.items() if k not in WORKLOAD}
    return estimate(find_model(model), Workload(**asked), Plan(**levers), habits, device).estimate


def phase(found: Estimate, name: str) -> int:
    return next(p.allocated_bytes for p in found.phases if p.phase == name)


def of_kind(found: Estimate, *kinds: str, alive: str = "prefill") -> int:
    return sum(c.nbytes for c in found.components if c.kind in kinds and alive in c.alive)


@pytest.mark.parametrize(
    ("model", "tokens", "mib"),
    [("llama-2-7b", 512, 48.5), ("llama-2-7b", 4096, 388), ("llama-3.1-8b", 512, 58), ("llama-3.1-8b", 4096, 466)],
)
def test_a_prompt_over_weights_and_cache_as_traced(model: str, tokens: int, mib: float) -> None:
    found = infer(model, context_length=tokens)
    assert of_kind(found, "inputs", "working_set") / MIB == pytest.approx(mib, rel=0.005)


def test_logits_of_the_whole_prompt_as_traced() -> None:
    # One 16-bit copy of the logits over the last hidden states; programs of the time made an fp32 copy besides.
    found = infer("llama-3.1-8b", era("transformers-4.38"), context_length=4096)
    fp32 = 4096 * 128256 * 4
    assert (of_kind(found, "inputs", "logits") - fp32) / MIB == pytest.approx(1034, rel=0.001)


@pytest.mark.parametrize(("model", "mib"), [("llama-2-7b", 32), ("llama-3.1-8b", 8)])
def test_a_step_copies_one_layer_of_the_cache(model: str, mib: float) -> None:
    assert of_kind(infer(model), "working_set", alive="decode") / MIB == mib


@pytest.mark.parametrize(
    ("model", "quantization", "prompt", "context", "measured_gib"),
    [  # transformers 4.46 on an A100, published to 0.01
        ("qwen2.5-7b", "bf16", 6144, 8192, 15.38),
        ("qwen2.5-7b", "awq_int4", 30720, 32768, 10.98),
        ("qwen2.5-14b", "gptq_int4", 14336, 16384, 13.81),
        ("qwen2.5-32b", "bf16", 30720, 32768, 74.47),
        ("qwen2.5-3b", "awq_int4", 1, 2049, 2.50),  # the worst moment is loading: the output layer is not tied yet
    ],
)
def test_published_peaks(model: str, quantization: str, prompt: int, context: int, measured_gib: float) -> None:
    found = infer(
        model, era("transformers-4.46"), quantization=quantization, prompt_length=prompt, context_length=context,
        attn_implementation="flash_attention_2",
    )  # fmt: skip
    assert found.peak.allocated_bytes.mid / GIB == pytest.approx(measured_gib, abs=0.02)


def test_old_transformers_keeps_two_caches_and_a_table_per_layer() -> None:
    new, old = (
        infer("qwen2.5-7b", era(name), context_length=2049, prompt_length=1)
        for name in ("transformers-4.46", "transformers-4.38")
    )
    cache = 28 * 2 * 512 * 2049 * 2
    assert of_kind(old, "cache_copy", alive="decode") == cache
    tables = 28 * 2 * 131072 * 128 * 2
    assert of_kind(old, "buffers", alive="decode") == tables
    # The two caches are alive together instead of one layer's copy.
    copied = of_kind(new, "working_set", alive="decode")
    assert phase(old, "decode") - phase(new, "decode") == pytest.approx(cache + tables - copied, rel=0.002)


def test_weights_allocated_one_by_one_leave_blocks_unsplit() -> None:
    # 43 MiB of each MLP weight lie in a segment of 44: the last MiB is not split off.
    found = infer("qwen2.5-3b", era("transformers-4.46"))
    assert of_kind(found, "rounding") / MIB == pytest.approx(3 * 36, abs=1)
    assert of_kind(infer("qwen2.5-3b"), "rounding") == 0


def test_litgpt_keeps_an_output_layer_of_its_own_and_quantises_it() -> None:
    found = infer("falcon-7b", era("litgpt"), quantization="nf4_double", context_length=264, prompt_length=8)
    assert found.peak.allocated_bytes.mid == pytest.approx(5_380_243_456, rel=0.006)
    today = infer("falcon-7b", quantization="nf4_double", context_length=264, prompt_length=8)
    assert today.peak.allocated_bytes.mid < found.peak.allocated_bytes.mid - 2 * 65024 * 4544 * 2 * 0.9


def test_latents_are_unfolded_in_every_step() -> None:
    found = infer("deepseek-v3", quantization="fp8", context_length=131072)
    assert of_kind(found, "kv_cache", alive="decode") == 131072 * 61 * 576 * 2
    assert of_kind(found, "working_set", alive="decode") == 131072 * 128 * (256 + 192) * 2


def test_written_out_attention_grows_with_the_square() -> None:
    small, large = (
        of_kind(infer("llama-3.1-8b", attn_implementation="eager", context_length=n), "working_set")
        for n in (4096, 8192)
    )
    assert large > 3.8 * small
    assert of_kind(infer("llama-3.1-8b", context_length=8192), "working_set") < large / 10


def test_architectures_without_sdpa_write_it_out() -> None:
    assert of_kind(infer("gpt-oss-20b", quantization="mxfp4"), "working_set") > 64 * 4096 * 4096 * 4


def test_a_static_cache_is_there_before_the_prompt() -> None:
    found = infer("llama-3.1-8b", cache_implementation="static", prompt_length=16)
    assert of_kind(found, "kv_cache") == 2 * 32 * 1024 * 4096 * 2
    assert of_kind(found, "working_set", alive="decode") == 0


def test_windows_are_cut_after_the_prompt() -> None:
    found = infer("gemma-3-4b", context_length=8192)
    assert of_kind(found, "prompt_cache") == 34 * 2 * 1024 * 8192 * 2
    assert of_kind(found, "kv_cache", alive="decode") == (29 * 1024 + 5 * 8192) * 2 * 1024 * 2


def test_towers_stay() -> None:
    model = find_model("gemma-3-4b")
    assert model.tower_parameters > 0
    bare = estimate(replace(model, tower_parameters=0), Workload(), Plan(quantization="bf16"), TODAY).estimate
    whole = estimate(model, Workload(), Plan(quantization="bf16"), TODAY).estimate
    assert phase(whole, "load") - phase(bare, "load") == 2 * model.tower_parameters


def test_learned_positions_bound_the_context() -> None:
    found = infer("gpt2", context_length=4096)
    assert of_kind(found, "kv_cache") == 2 * 12 * 768 * 1024 * 2
    assert "1,024" in found.notes[0]


def test_every_component_is_in_its_phase() -> None:
    for name in ("llama-3.1-8b", "gemma-3-4b", "deepseek-v2-lite", "qwen3-next-80b-a3b", "gpt-oss-20b"):
        for runtime in ("transformers", "vllm"):
            found = infer(name, device=H100, runtime=runtime, num_gpus=2, prompt_length=100)
            for p in found.phases:
                assert sum(c.nbytes for c in found.components if p.phase in c.alive) == p.allocated_bytes


FORMATS = ("nf4_double", "nf4", "int8", "bf16", "fp32")


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(("llama-3.1-8b", "gemma-3-1b", "qwen3-30b-a3b", "deepseek-v2-lite", "granite-4.0-h-tiny")),
    quantization=st.sampled_from(FORMATS),
    b=st.integers(1, 16),
    s=st.integers(1, 30_000),
    more=st.integers(1, 5000),
)
def test_it_grows_with_context_sequences_and_prompt(name: str, quantization: str, b: int, s: int, more: int) -> None:
    def peak(**asked: int) -> int:
        return infer(name, quantization=quantization, **asked).peak.allocated_bytes.mid

    one = peak(num_sequences=b, context_length=s)
    assert one <= peak(num_sequences=b, context_length=s + more)
    assert one <= peak(num_sequences=b + more % 7, context_length=s)
    assert peak(num_sequences=b, context_length=s, prompt_length=1) <= one


def test_fewer_bits_are_fewer_bytes() -> None:
    peaks = [infer("llama-3.1-8b", quantization=q).peak.allocated_bytes.mid for q in FORMATS]
    assert peaks == sorted(peaks)
    caches = [
        infer("llama-2-7b", cache_type_k=c, cache_type_v=c, context_length=32768) for c in ("int4", "int8", "bf16")
    ]
    kept = [of_kind(c, "kv_cache", alive="decode") for c in caches]
    assert kept == sorted(kept)


def test_weights_and_cache_are_linear_in_layers() -> None:
    model = find_model("llama-3.1-8b")

    def with_layers(n: int) -> tuple[int, int]:
        found = estimate(replace(model, layer_kinds=(0,) * n), Workload(), Plan(quantization="bf16"), TODAY).estimate
        return phase(found, "prefill"), phase(found, "decode")

    few, some, many = with_layers(8), with_layers(16), with_layers(24)
    for i in range(2):
        assert many[i] - some[i] == some[i] - few[i]


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gemma-3-1b", "deepseek-v3.2", "qwen3-30b-a3b", "gpt2"])
@pytest.mark.parametrize("quantization", ["bf16", "nf4_double"])
def test_a_grid_is_what_a_loop_gives(name: str, quantization: str) -> None:
    model, plan = find_model(name), Plan(quantization=quantization)
    sequences, contexts = np.array([1, 2, 33])[:, None], np.array([1, 400, 512, 513, 1024, 4096, 30_000])
    grid = inference_grid(model, Workload(), plan, TODAY, sequences, contexts, np.minimum(contexts, 700))
    for i, b in enumerate(sequences[:, 0]):
        for j, s in enumerate(contexts):
            asked = Workload(num_sequences=int(b), context_length=int(s), prompt_length=int(min(s, 700)))
            found = estimate(model, asked, plan, TODAY).estimate
            for p in found.phases:
                assert np.broadcast_to(grid.phases[p.phase], grid.peak.shape)[i, j] == p.allocated_bytes
            assert grid.peak[i, j] == max(p.allocated_bytes for p in found.phases)


def test_several_gpus_share_layers_and_each_works() -> None:
    one, two = infer("llama-3.1-70b"), infer("llama-3.1-70b", num_gpus=2)
    assert of_kind(two, "weights") == of_kind(one, "weights") / 2
    assert of_kind(two, "prompt_cache", "kv_cache") == of_kind(one, "prompt_cache", "kv_cache") / 2
    assert of_kind(two, "working_set") == of_kind(one, "working_set")
    assert two.minimum_sd > one.minimum_sd


@pytest.mark.parametrize(
    ("model", "quantization", "gpus", "weights", "batch", "pool"),
    [  # start-up logs on H100, gpu_memory_utilization 0.9 [GiB]
        ("llama-3.1-8b", "bf16", 1, 14.99, 4.76, 51.38),
        ("qwen3-32b", "bf16", 1, 61.03, 5.64, None),
        ("qwen3-0.6b", "bf16", 1, 1.12, 5.56, None),
        ("llama-3.1-70b", "fp8", 2, 33.88, 4.84, None),
    ],
)
def test_vllm_as_its_logs_say(
    model: str, quantization: str, gpus: int, weights: float, batch: float, pool: float | None
) -> None:
    found = infer(model, device=H100, runtime="vllm", quantization=quantization, num_gpus=gpus)
    assert of_kind(found, "weights") / GIB == pytest.approx(weights, rel=0.01)
    assert of_kind(found, "working_set") / GIB == pytest.approx(batch, rel=0.03)
    if pool:
        assert of_kind(found, "pool", "kv_cache") / GIB == pytest.approx(pool, rel=0.01)


def test_vllm_takes_its_share_whatever_is_asked() -> None:
    found = infer("qwen3-0.6b", device=RTX_4090, runtime="vllm", context_length=100)
    assert found.peak.allocated_bytes.mid == pytest.approx(0.9 * RTX_4090.free_bytes, rel=1e-6)
    assert found.share_bytes == int(0.9 * RTX_4090.free_bytes)
    less = infer("qwen3-0.6b", device=RTX_4090, runtime="vllm", context_length=100, gpu_memory_utilization=0.5)
    assert less.share_bytes == int(0.5 * RTX_4090.free_bytes)
    assert less.minimum_mean == found.minimum_mean < less.share_bytes


def test_vllm_says_how_many_tokens_fit() -> None:
    fits = infer("llama-3.1-8b", device=RTX_4090, runtime="vllm", context_length=8192)
    assert "tokens" in fits.notes[0]
    assert len(fits.notes) == 1
    crowded = infer("llama-3.1-8b", device=RTX_4090, runtime="vllm", context_length=8192, num_sequences=20)
    assert "do not fit together" in crowded.notes[1]
    long = infer("llama-3.1-8b", device=RTX_4090, runtime="vllm", context_length=131072)
    assert "--max-model-len" in long.notes[1]
    assert long.share_bytes is not None
    assert long.minimum_mean > long.share_bytes
    large = infer("qwen2.5-14b", device=RTX_4090, runtime="vllm")
    assert "does not start" in large.notes[0]
    assert large.share_bytes is not None
    assert large.minimum_mean > large.share_bytes


def test_cache_of_131072_tokens_under_vllm() -> None:
    """gpt-oss-20b: 24 layers of 1,024 keys and values in 16 bits are 6.0 GiB; with its manager of hybrid caches the half
    that has a window keeps window and batch only."""
    full = infer("gpt-oss-20b", runtime="vllm", quantization="mxfp4", context_length=131_072, swa_full=True)
    assert of_kind(full, "kv_cache") == 6 * GIB
    hybrid = infer("gpt-oss-20b", runtime="vllm", quantization="mxfp4", context_length=131_072)
    assert of_kind(hybrid, "kv_cache") == 3 * GIB + 12 * (128 + 2048 - 1) * 2 * 1024


def test_vllm_without_a_card() -> None:
    found = infer("llama-3.1-8b", runtime="vllm")
    assert "No card" in found.notes[0]
    assert found.minimum_mean == phase(found, "prefill")
    assert found.share_bytes is None


def test_vllm_profiles_more_sequences_on_large_cards() -> None:
    assert engine(H100).max_num_seqs == 1024
    assert engine(replace(H100, name="NVIDIA A100-SXM4-80GB")).max_num_seqs == 256
    assert engine(RTX_4090) == engine(None)


@pytest.mark.parametrize(
    ("model", "choices", "error", "words"),
    [
        ("bert-large-uncased", {}, NotModelled, "encoder"),
        ("llama-3.1-8b", {"quantization": "mxfp4"}, NotModelled, "no experts"),
        ("llama-3.1-8b", {"offload": "parameters"}, NotModelled, "host memory"),
        ("llama-3.1-8b", {"sharding": "fsdp_full"}, BadInput, "training"),
        ("llama-3.1-8b", {"cache_type_k": "int8"}, BadInput, "alike"),
        ("llama-3.1-8b", {"cache_type_k": "int4", "cache_type_v": "int4", "cache_implementation": "static"}, BadInput, "static"),
        ("gemma-3-4b", {"cache_type_k": "int4", "cache_type_v": "int4"}, NotModelled, "full attention"),
        ("llama-3.1-8b", {"cache_type_k": "bf16", "cache_type_v": "bf16", "quantization": "fp32"}, BadInput, "dtype"),
        ("llama-3.1-8b", {"runtime": "vllm", "quantization": "int8"}, NotModelled, "vLLM"),
        ("llama-3.1-8b", {"runtime": "vllm", "cache_type_k": "int8", "cache_type_v": "int8"}, BadInput, "fp8"),
        ("llama-3.1-8b", {"runtime": "vllm", "cache_implementation": "static"}, BadInput, "pages"),
    ],
)  # fmt: skip
def test_refusals_name_what_is_missing(model: str, choices: dict[str, Any], error: type[BadInput], words: str) -> None:
    with pytest.raises(error, match=words):
        infer(model, **choices)


def test_inference_needs_no_training_choices() -> None:
    plan = estimate(find_model("llama-3.1-8b"), Workload(), Plan(quantization="int8"), TODAY).plan
    assert plan.attn_implementation == "sdpa"
    assert plan.optimizer is None
