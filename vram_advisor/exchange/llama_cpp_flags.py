"""The flags of llama-server and llama-cli: their spellings, their variables, and those that say nothing here.

Source: llama.cpp v0.5.0 ``common/arg.cpp``; spellings of older builds beside them.
"""

from vram_advisor.exchange.keys import names

SPELLINGS = {
    "-m": "--model", "-c": "--ctx-size", "-b": "--batch-size", "-ub": "--ubatch-size", "-np": "--parallel",
    "-ngl": "--n-gpu-layers", "--gpu-layers": "--n-gpu-layers", "-sm": "--split-mode", "-ts": "--tensor-split",
    "-mg": "--main-gpu", "-fa": "--flash-attn", "-ctk": "--cache-type-k", "-ctv": "--cache-type-v",
    "-kvu": "--kv-unified", "-no-kvu": "--no-kv-unified", "-nkvo": "--no-kv-offload", "-kvo": "--kv-offload",
    "-ot": "--override-tensor", "-cmoe": "--cpu-moe", "-ncmoe": "--n-cpu-moe", "-hf": "--hf-repo", "-hfr": "--hf-repo",
    "-t": "--threads", "-tb": "--threads-batch", "-n": "--predict", "--n-predict": "--predict", "-p": "--prompt",
    "-f": "--file", "-cb": "--cont-batching", "-nocb": "--no-cont-batching", "-a": "--alias", "-s": "--seed",
    "--temperature": "--temp", "-dev": "--device", "-fit": "--fit", "-cram": "--cache-ram", "-hff": "--hf-file",
    "-hft": "--hf-token", "-mu": "--model-url", "-md": "--model-draft", "--spec-draft-model": "--model-draft",
    "-mm": "--mmproj", "-v": "--verbose", "-to": "--timeout", "-cnv": "--conversation", "-i": "--interactive",
    "-ngld": "--n-gpu-layers-draft", "--gpu-layers-draft": "--n-gpu-layers-draft",
    "--spec-draft-ngl": "--n-gpu-layers-draft", "-ctkd": "--cache-type-k-draft", "-ctvd": "--cache-type-v-draft",
    "--spec-draft-type-k": "--cache-type-k-draft", "--spec-draft-type-v": "--cache-type-v-draft",
    "--draft-max": "--spec-draft-n-max", "--draft": "--spec-draft-n-max", "--draft-n": "--spec-draft-n-max",
    "-hfd": "--hf-repo-draft", "-hfrd": "--hf-repo-draft", "--spec-draft-hf": "--hf-repo-draft",
    "-cd": "--ctx-size-draft", "-devd": "--device-draft", "--spec-draft-device": "--device-draft",
    "-otd": "--override-tensor-draft", "--spec-draft-override-tensor": "--override-tensor-draft",
    "-cmoed": "--cpu-moe-draft", "--spec-draft-cpu-moe": "--cpu-moe-draft", "-ncmoed": "--n-cpu-moe-draft",
    "--spec-draft-n-cpu-moe": "--n-cpu-moe-draft", "-td": "--threads-draft", "-tbd": "--threads-batch-draft",
}  # fmt: skip
_VARIABLES = {
    "BATCH": "--batch-size", "UBATCH": "--ubatch-size", "N_PARALLEL": "--parallel", "N_PREDICT": "--predict",
    "ENDPOINT_METRICS": "--metrics", "ENDPOINT_PROPS": "--props", "ENDPOINT_SLOTS": "--slots", "THINK": "--reasoning-format",
    "THINK_BUDGET": "--reasoning-budget", "EMBEDDINGS": "--embedding", "ROPE_SCALING_TYPE": "--rope-scaling",
    "N_GPU_LAYERS_DRAFT": "--n-gpu-layers-draft", "SPEC_DRAFT_N_GPU_LAYERS": "--n-gpu-layers-draft",
    "SPEC_DRAFT_CACHE_TYPE_K": "--cache-type-k-draft", "SPEC_DRAFT_CACHE_TYPE_V": "--cache-type-v-draft",
    "SPEC_DRAFT_MODEL": "--model-draft", "SPEC_DRAFT_HF_REPO": "--hf-repo-draft", "HFD_REPO": "--hf-repo-draft",
    "DRAFT_MAX": "--spec-draft-n-max", "NO_MMAP": "--no-mmap", "TEMPERATURE": "--temp",
}  # fmt: skip
"""Variables that are not called as their flags are."""
VARIABLE = "LLAMA_ARG_"
"""How the variables that stand for flags begin; a flag that is there has the last word."""
TURNED_OFF = ("--kv-unified", "--kv-offload", "--mmproj-offload")
"""Switches that a variable turns off by a value; the command line has another flag for that."""
SWITCHES = names(
    """
    --kv-unified --no-kv-unified --no-kv-offload --kv-offload --cpu-moe --swa-full --cont-batching --no-cont-batching
    --mlock --no-mmap --metrics --jinja --no-webui --verbose --no-warmup --embedding --reranking --offline --slots
    --conversation --interactive --no-context-shift --context-shift --no-op-offload --op-offload --props
    --mmproj-offload --no-mmproj-offload --mmproj-auto --no-mmproj-auto --no-mmproj --cpu-moe-draft
    """
)
IRRELEVANT = names(
    """
    --host --port --threads --threads-batch --alias --api-key --api-key-file --metrics --jinja --no-webui --webui
    --verbose --temp --top-k --top-p --min-p --seed --predict --prompt --file --cont-batching --no-cont-batching
    --mlock --no-mmap --mmap --no-warmup --warmup --chat-template --chat-template-file --chat-template-kwargs
    --reasoning-format --reasoning-budget --slots --no-slots --props --timeout --log-disable --log-file
    --log-verbosity --hf-token --hf-file --offline --numa --prio --poll --cpu-mask --cpu-strict --repeat-penalty
    --presence-penalty --frequency-penalty --slot-save-path --ssl-key-file --ssl-cert-file --no-context-shift
    --context-shift --keep --rope-scaling --rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx --tags
    --conversation --interactive --system-prompt --threads-http --grammar --json-schema --ignore-eos --samplers
    --main-gpu --kv-offload --op-offload --fit (first) --single-turn --no-conversation --color --simple-io --cache-ram
    --sleep-idle-seconds --cache-reuse --threads-draft --threads-batch-draft --spec-draft-n-min --spec-draft-p-min
    --spec-draft-p-split --draft-min --draft-p-min --draft-p-split --mmproj-offload --mmproj-auto --no-mmproj
    --no-mmproj-auto --lora-init-without-apply
    """
)
NOT_MODELLED = names(
    """
    --mmproj-url --control-vector --no-op-offload --device --rpc --embedding --reranking --spec-type
    --fit-target --fit-ctx --mtp --eagle3 --ctx-size-draft --device-draft --override-tensor-draft --cpu-moe-draft
    --n-cpu-moe-draft
    """
)


def flag_of(variable: str) -> str:
    """The flag that a variable stands for.

    >>> flag_of("LLAMA_ARG_CTX_SIZE"), flag_of("LLAMA_ARG_N_PARALLEL")
    ('--ctx-size', '--parallel')
    """
    name = variable.removeprefix(VARIABLE)
    return _VARIABLES.get(name, f"--{name.lower().replace('_', '-')}")
