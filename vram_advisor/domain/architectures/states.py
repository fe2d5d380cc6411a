"""The parts that keep a state of fixed size, from a configuration."""

from vram_advisor.domain.architectures.fields import MAX_HEADS, Fields
from vram_advisor.domain.architectures.parts import hidden_size
from vram_advisor.domain.model import StateSpace
from vram_advisor.units.errors import NotModelled


def delta_net(fields: Fields) -> StateSpace:
    """The gated delta net of Qwen3-Next and Qwen3.5."""
    return StateSpace(
        kind="gated_delta_net",
        num_heads=fields.integer("linear_num_value_heads", high=MAX_HEADS),
        head_dim=fields.integer("linear_value_head_dim"),
        state_size=fields.integer("linear_key_head_dim"),
        num_groups=fields.integer("linear_num_key_heads", high=MAX_HEADS),
        conv_kernel=fields.integer("linear_conv_kernel_dim", high=1024),
    )


def mamba2(fields: Fields) -> StateSpace:
    """Mamba-2 under the field names of Granite 4, Nemotron-H and Mamba-2 itself."""
    if fields.flag("mamba_proj_bias", False) or fields.flag("use_bias", False):
        raise NotModelled(f"{fields.where}: Mamba-2 projections with a bias are not modelled")
    heads = fields.integer("mamba_n_heads", "mamba_num_heads", "num_heads", high=MAX_HEADS)
    if fields.get("mamba_d_head")[1] == "auto":
        head_dim = fields.integer_or(2, "mamba_expand", low=1, high=64) * hidden_size(fields) // heads
    else:
        head_dim = fields.integer("mamba_d_head", "mamba_head_dim", "head_dim")
    bias_field = "mamba_conv_bias" if fields.get("mamba_conv_bias")[1] is not None else "use_conv_bias"
    return StateSpace(
        kind="mamba2",
        num_heads=heads,
        head_dim=head_dim,
        state_size=fields.integer("mamba_d_state", "ssm_state_size", "state_size"),
        num_groups=fields.integer("mamba_n_groups", "n_groups", high=MAX_HEADS),
        conv_kernel=fields.integer("mamba_d_conv", "conv_kernel", high=1024),
        conv_bias=fields.flag(bias_field, True),
    )


def short_conv(fields: Fields) -> StateSpace:
    """The gated short convolution of LFM2."""
    return StateSpace(
        kind="short_conv",
        num_heads=1,
        head_dim=hidden_size(fields),
        state_size=1,
        num_groups=1,
        conv_kernel=fields.integer_or(3, "conv_L_cache", low=1, high=1024),
        conv_bias=fields.flag("conv_bias", False),
    )
