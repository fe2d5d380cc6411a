"""Which models have no evidence for their training, and which adapters no stack can put on.

Sources: peft 0.21 ``tuners/lora/layer.py`` ParamWrapper; transformers 5.23 ``integrations/bitsandbytes.py``
replace_with_bnb_linear (exact ``nn.Linear`` only), ``models/falcon/modeling_falcon.py`` FalconLinear.
"""

from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.memory.forward_experts import EVERY_EXPERT

ROUTERS = frozenset({"router"})
"""Roles of extra weights that layers here know."""
UNTRACED = frozenset({"lfm2_moe"})
"""Architectures whose parts were traced apart, not together."""
STATES = frozenset({"gated_delta_net", "short_conv"})
"""Layers with a state of fixed size that were traced."""
OWN_LINEAR = frozenset({"falcon"})
"""Architectures whose linear layers are a class of their own, which transformers 5 does not quantise."""


def untraced(model: ModelSpec) -> str | None:
    """Why the activations of a training step have no evidence; None: they have."""
    if model.architecture in EVERY_EXPERT:
        return "every expert works on every token"
    if model.architecture in UNTRACED:
        return "its mixture of experts between short convolutions was not traced"
    return next(filter(None, map(untraced_block, model.blocks)), None)


def untraced_block(block: Block) -> str | None:
    """The same for one kind of layer."""
    a, e = block.attention, block.experts
    if block.state is not None and block.state.kind not in STATES:
        return f"it has {block.state.kind} layers"
    if (a is None and block.state is None) or (block.mlp is None and e is None):
        return "its layers are attention or a feed-forward part alone"
    if a is not None and a.index_n_heads:
        return "its attention chooses tokens by an indexer"
    if a is not None and a.kv_shared:
        return "its layers share keys and values"
    if e is not None and e.latent_size:
        return "its experts work on a projection of the tokens"
    if any(extra.role not in ROUTERS for extra in block.extra):
        return "its layers have weights of their own kind"
    return None


def impossible_adapters(model: ModelSpec, targets: frozenset[str], dropout: float, dora: bool) -> str | None:
    """Why PEFT refuses adapters on stacks of experts; ``targets`` as ``trained.resolve_targets`` gives them."""
    if not any(name.startswith("experts.") for name in targets) or not any(b.experts for b in model.blocks):
        return None
    if dropout:
        return f"PEFT puts no adapter with dropout {dropout:g} on stacked experts"
    return "PEFT puts no DoRA on stacked experts" if dora else None


def stays_unquantised(model: ModelSpec, kernel: str, linear_experts: bool) -> bool:
    """Whether bitsandbytes leaves the linear layers as they are (transformers 5)."""
    return model.architecture in OWN_LINEAR and kernel.startswith("bnb") and not linear_experts
