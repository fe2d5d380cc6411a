"""The operations of one decoder layer, as transformers and PEFT run them.

Sources, read at transformers 5.23, peft 0.21.2, bitsandbytes 0.50.2: ``models/llama/modeling_llama.py``,
``integrations/sdpa_attention.py``, ``peft/tuners/lora/layer.py`` and ``bnb.py``, ``bitsandbytes/autograd/_functions.py``.
Widths are elements, item sizes bytes. T = tokens of a micro batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention, Block, Mlp, NormKind
from vram_advisor.memory.tape import Tape, Value


@dataclass(frozen=True, slots=True)
class Numerics:
    """What decides the bytes of a layer besides its shape: dtypes, adapters, kernels."""

    stream: int = 2
    """Item size of the residual stream [B]: 4 for fp32 weights and after kbit preparation."""
    weight: int = 2
    """Item size of weights that are not quantised [B]."""
    norm_weight: int = 2
    """Item size of norm weights [B]: 4 after kbit preparation."""
    autocast: int | None = None
    """Item size that autocast computes in [B]; None: no autocast."""
    adapter: int = 4
    train_base: bool = False
    lora_r: int = 0
    lora_dropout: float = 0.0
    targets: frozenset[str] = frozenset()
    """Module names that carry an adapter; ``all-linear`` means every linear layer of a block."""
    quantization: str = "none"
    """Kernel family of the frozen base: none, bnb_4bit, bnb_8bit, gptq."""
    attention: str = "flash"
    """flash, efficient, math or eager."""
    padded: bool = False
    """A padding mask reaches the attention."""
    dequantize: bool = True
    """The 4-bit forward pass makes a 16-bit copy of the weight (more than 512 rows)."""
    dora: bool = False
    norm_kernel: str = "framework"
    mlp_kernel: str = "framework"
    lora_kernel: str = "framework"
    linear_experts: bool = False

    def targeted(self, module: str) -> bool:
        """Whether a module carries an adapter."""
        return self.lora_r > 0 and (module in self.targets or "all-linear" in self.targets)


class LayerTape(Tape):
    """Writes layers of a model onto a tape."""

    def __init__(self, numerics: Numerics, keep_gradients: bool = True) -> None:
        super().__init__(keep_gradients)
        self.numerics = numerics
        self.autocast_copies: list[Amount] = []
        """16-bit copies of trained weights that stay until autocast exits."""

    # -- elementary operations

    def cast(self, x: Value, itemsize: int, label: str | None = None) -> Value:
        """``x.to(dtype)``: x itself where nothing changes."""
        if x.itemsize == itemsize:
            return x
        bits = itemsize * 8
        return self.record(label or f"{x.buffer.label} in {bits} bit", [x], x.rows, x.width, itemsize, casts_gradient=True)

    def add(self, a: Value, b: Value, label: str) -> Value:
        """``a + b``: the wider dtype, gradients are handed on."""
        return self.record(label, [a, b], a.rows, a.width, max(a.itemsize, b.itemsize), casts_gradient=True)

    def multiply(self, a: Value, b: Value, label: str) -> Value:
        """``a * b`` of two tensors: each is saved for the gradient of the other."""
        saved = ([b] if a.needs_grad else []) + ([a] if b.needs_grad else [])
        return self.record(label, [a, b], a.rows, a.width, max(a.itemsize, b.itemsize), saved=saved)

    def scale(self, x: Value, label: str) -> Value:
        """``x * number``."""
        return self.record(label, [x], x.rows, x.width, x.itemsize)

    def weight_copy(self, label: str, numel: int, trained: bool) -> Value:
        """The copy that autocast makes of an fp32 weight; of trained weights it is kept until autocast exits."""
        n = self.numerics
        assert n.autocast is not None
        gradient = [Amount(f"gradient of {label}", "one", numel, 4, "gradient")] if trained else []
        copy = self.record(f"{label} in 16 bit", [], "one", numel, n.autocast, parameters=gradient, kind="weight copy")
        if trained:
            self.autocast_copies.append(copy.buffer)
        return copy

    def matmul(self, x: Value, label: str, in_features: int, out_features: int, itemsize: int, trained: bool) -> Value:
        """``F.linear`` with an ordinary weight of ``itemsize`` [B]."""
        n = self.numerics
        numel = in_features * out_features
        inputs: list[Value] = []
        saved: list[Value] = []
        gradient: list[Amount] = []
        out = itemsize
        weight: Value | None = None
        if n.autocast is not None:
            out = n.autocast
            if itemsize != out:
                weight = self.weight_copy(f"{label} weight", numel, trained)
            x = self.cast(x, out)
        if weight is not None:
            inputs = [x, weight]
            saved = ([x] if trained else []) + ([weight] if x.needs_grad else [])
        else:
            inputs = [x]
            if trained:
                saved = [x]
                gradient = [Amount(f"gradient of {label} weight", "one", numel, itemsize, "gradient")]
        return self.record(f"{label} output", inputs, x.rows, out_features, out, saved=saved, parameters=gradient, gradient_is_view=True)

    def dropout(self, x: Value, label: str) -> Value:
        """CUDA dropout keeps a mask of one byte per element."""
        mask = Amount(f"{label} dropout mask", x.rows, x.width, 1, "activation")
        return self.record(f"{label} after dropout", [x], x.rows, x.width, x.itemsize, saved=[mask])

    # -- norms

    def norm(self, x: Value, label: str, kind: NormKind, width: int | None = None, groups: int = 1) -> Value:
        """A norm over the last ``width`` elements; ``groups`` of them side by side in x (qk-norm)."""
        n = self.numerics
        width = width if width is not None else x.width
        trained = n.train_base and kind != "none_parametric"
        if kind != "rms":
            return self.layer_norm(x, label, kind, trained, groups)
        entered = x.itemsize
        x32 = self.cast(x, 4, f"{label} input in fp32")
        square = Amount(f"{label} squares", x.rows, x.width, 4, "workspace")
        wide = [Amount(f"{label} gradient temporaries", x.rows, x.width, 4, "workspace") for _ in range(3)]
        variance = self.record(f"{label} variance", [x32], x.rows, groups, 4, saved=[x32], temporaries=[square], backward_temporaries=wide)
        rstd = self.record(f"{label} 1/rms", [variance], x.rows, groups, 4, save_output=True)
        y32 = self.record(f"{label} normed in fp32", [x32, rstd], x.rows, x.width, 4, saved=[x32, rstd], backward_temporaries=wide[:1])
        y = self.cast(y32, entered, f"{label} normed")
        gradient = [Amount(f"gradient of {label} weight", "one", width, n.norm_weight, "gradient")] if trained else []
        product = [Amount(f"{label} weight product", x.rows, x.width, max(y.itemsize, n.norm_weight), "workspace")] if trained else []
        out = self.record(
            f"{label} output", [y], x.rows, x.width, max(y.itemsize, n.norm_weight),
            saved=[y] if trained else [], parameters=gradient, backward_temporaries=product,
        )  # fmt: skip
        self.drop(y32)
        return out

    def layer_norm(self, x: Value, label: str, kind: NormKind, trained: bool, groups: int) -> Value:
        """``F.layer_norm``, one kernel; autocast runs it in fp32."""
        n = self.numerics
        if n.autocast is not None:
            x = self.cast(x, 4, f"{label} input in fp32")
        statistics = Amount(f"{label} mean and 1/std", x.rows, 2 * groups, 4, "activation")
        count = {"layer": 2, "layer_no_bias": 1}.get(kind, 0)
        gradient = [Amount(f"gradient of {label} weight", "one", count * x.width // groups, n.norm_weight, "gradient")] if trained else []
        return self.record(f"{label} output", [x], x.rows, x.width, x.itemsize, saved=[x, statistics], parameters=gradient)

    # -- linear layers

    def linear(self, x: Value, module: str, out_features: int) -> Value:
        """A linear layer of the block with its adapter, if it has one. x [T x in_features]."""
        n = self.numerics
        quantised = n.quantization != "none"
        base = self.quantised_linear(x, module, out_features) if quantised else self.matmul(
            x, module, x.width, out_features, n.weight, n.train_base
        )  # fmt: skip
        if not n.targeted(module):
            return base
        four_bit = n.quantization == "bnb_4bit"
        entered = base.itemsize
        if four_bit:
            base = self.record(f"{module} output copy", [base], base.rows, base.width, base.itemsize, passes_gradient=True)
        converts = n.autocast is None or not quantised
        xa = self.cast(x, n.adapter, f"{module} adapter input") if converts else x
        inner = self.dropout(xa, module) if n.lora_dropout > 0 else xa
        a = self.matmul(inner, f"{module} lora_A", x.width, n.lora_r, n.adapter, True)
        b = self.matmul(a, f"{module} lora_B", n.lora_r, out_features, n.adapter, True)
        delta = self.scale(b, f"{module} adapter output")
        if quantised and converts:
            delta = self.cast(delta, entered)
        total = self.add(base, delta, f"{module} output")
        result = self.cast(total, entered, f"{module} output") if not quantised else total
        self.drop(xa)
        return result

    def quantised_linear(self, x: Value, module: str, out_features: int) -> Value:
        """A frozen linear layer in 4 or 8 bit: saves no input, makes 16-bit copies of its weight."""
        n = self.numerics
        entered = x.itemsize
        numel = x.width * out_features
        compute = 2
        x = self.cast(x, compute, f"{module} input in 16 bit")
        copy = Amount(f"{module} dequantised weight", "one", numel, compute, "workspace")
        scales = Amount(f"{module} dequantised scales", "one", 2 * numel // 64, 4, "workspace")
        forward = [copy, scales] if n.dequantize else []
        out = self.record(
            f"{module} output", [x], x.rows, out_features, compute,
            temporaries=forward, backward_temporaries=[copy], gradient_is_view=True,
        )  # fmt: skip
        return self.cast(out, entered, f"{module} output")

    # -- attention

    def rotate(self, x: Value, label: str, itemsize: int) -> Value:
        """Rotary embedding: x * cos + rotate_half(x) * sin, with cos and sin of ``itemsize``."""
        wide = max(x.itemsize, itemsize)
        first = self.record(f"{label} * cos", [x], x.rows, x.width, wide)
        negative = Amount(f"{label} negated half", x.rows, x.width // 2, x.itemsize, "workspace")
        slices = Amount(f"{label} slice gradient", x.rows, x.width, x.itemsize, "workspace")
        half = self.record(
            f"{label} rotated half", [x], x.rows, x.width, x.itemsize, temporaries=[negative], backward_temporaries=[slices]
        )
        second = self.record(f"{label} * sin", [half], x.rows, x.width, wide)
        return self.record(f"{label} rotated", [first, second], x.rows, x.width, wide, passes_gradient=True)

    def attention(self, x: Value, a: Attention) -> Value:
        """Grouped-query attention from the normed input to the output projection."""
        n = self.numerics
        names = a.modules
        if names[0] == names[1]:
            fused = self.linear(x, names[0], a.query_size + a.key_size + a.value_size)
            q = self.part(fused, "query", a.query_size)
            k = self.part(fused, "key", a.key_size)
            v = self.part(fused, "value", a.value_size)
        else:
            q = self.linear(x, names[0], a.query_size)
            if a.qk_norm != "none":
                q = self.qk_norm(q, "query", a, a.num_attention_heads)
            k = self.linear(x, names[1], a.key_size)
            if a.qk_norm != "none":
                k = self.qk_norm(k, "key", a, a.num_key_value_heads)
            v = self.linear(x, names[2], a.value_size)
        if a.rotary_dim:
            before = (q, k)
            q = self.rotate(q, "query", n.stream)
            k = self.rotate(k, "key", n.stream)
            self.drop(*before)
        out = self.scores(q, k, v, a)
        result = self.linear(out, names[3], x.width)
        self.drop(out, q, k, v, x)
        return result

    def qk_norm(self, x: Value, label: str, a: Attention, heads: int) -> Value:
        """A norm of each head of queries or keys."""
        width = a.head_dim if a.qk_norm == "head" else x.width
        groups = heads if a.qk_norm == "head" else 1
        kind: NormKind = "none_parametric" if a.qk_norm == "weightless" else "rms"
        return self.norm(x, f"{label} norm", kind, width, groups)

    def part(self, fused: Value, label: str, width: int) -> Value:
        """A slice of a fused projection: a view; its gradient is written into zeros of the full width."""
        return Value(fused.buffer, fused.rows, width, fused.itemsize, fused.needs_grad) if not fused.needs_grad else self.slice(
            fused, label, width
        )  # fmt: skip

    def slice(self, fused: Value, label: str, width: int) -> Value:
        """Record the slice so that gradients flow."""
        return self.record(label, [fused], fused.rows, width, fused.itemsize, view=True, slices=True)

    def scores(self, q: Value, k: Value, v: Value, a: Attention) -> Value:
        """Softmax attention by the kernel that is used. q, k, v [T x heads * head_dim]."""
        n = self.numerics
        if n.attention == "eager":
            return self.eager(q, k, v, a)
        compute = n.autocast or q.itemsize
        k = self.cast(k, compute)
        v = self.cast(v, compute)
        q = self.cast(q, compute)
        heads = a.num_attention_heads
        if n.padded or n.attention in ("efficient", "math"):
            k = self.repeat(k, "key", q.width, a)
            v = self.repeat(v, "value", a.output_size, a)
        if n.attention == "math":
            return self.math(q, k, v, a)
        statistics = Amount("attention log-sum-exp", "T", heads, 4, "activation")
        padded = -(-a.head_dim // 32) * 32 if a.head_dim <= 128 else -(-a.head_dim // 64) * 64
        work: list[Amount] = []
        saved: list[Value | Amount] = [q, k, v, statistics]
        if n.attention == "flash" and not n.padded:
            work = [Amount("flash attention dq accumulator", "T128", heads * padded, 4, "workspace"),
                    Amount("flash attention softmax sums", "T128", heads, 4, "workspace")]  # fmt: skip
            if a.num_key_value_heads != heads:
                work.append(Amount("flash attention dk and dv per query head", "T", 2 * q.width, q.itemsize, "workspace"))
        elif n.padded:
            saved.append(Amount("attention mask as numbers", "Q", 1, q.itemsize, "activation"))
        return self.record(
            "attention output", [q, k, v], q.rows, a.output_size, compute, saved=saved, save_output=True, backward_temporaries=work
        )

    def repeat(self, x: Value, label: str, width: int, a: Attention) -> Value:
        """``repeat_kv``: keys and values once per query head."""
        if a.num_key_value_heads == a.num_attention_heads:
            return x
        return self.record(f"{label} per query head", [x], x.rows, width, x.itemsize)

    def math(self, q: Value, k: Value, v: Value, a: Attention) -> Value:
        """The fallback of scaled_dot_product_attention: fp32 throughout (ATen native/transformers/attention.cpp)."""
        heads, e = a.num_attention_heads, q.itemsize
        q, k, v = self.cast(q, 4), self.cast(k, 4), self.cast(v, 4)
        q, k = self.scale(q, "scaled query"), self.scale(k, "scaled key")
        raw = self.record("attention scores", [q, k], "Q", heads, 4, saved=[q, k])
        soft = self.record("attention probabilities", [raw], "Q", heads, 4, save_output=True)
        out = self.record("attention output in fp32", [soft, v], q.rows, a.output_size, 4, saved=[soft, v])
        return self.cast(out, e, "attention output")

    def eager(self, q: Value, k: Value, v: Value, a: Attention) -> Value:
        """Attention written out: scores [micro batch x heads x length x length]."""
        n = self.numerics
        heads = a.num_attention_heads
        k = self.repeat(k, "key", q.width, a)
        v = self.repeat(v, "value", a.output_size, a)
        if n.autocast is not None:
            q, k, v = self.cast(q, n.autocast), self.cast(k, n.autocast), self.cast(v, n.autocast)
        e = q.itemsize
        raw = self.record("attention scores", [q, k], "Q", heads, e, saved=[q, k])
        scaled = self.scale(raw, "scaled attention scores")
        if a.softcapping:
            small = self.scale(scaled, "attention scores / cap")
            bent = self.record("attention tanh", [small], "Q", heads, e, save_output=True)
            scaled = self.scale(bent, "capped attention scores")
        masked = self.record("masked attention scores", [scaled], "Q", heads, e, passes_gradient=True)
        wide = self.cast(masked, 4, "attention scores in fp32")
        soft = self.record("attention probabilities in fp32", [wide], "Q", heads, 4, save_output=True)
        probabilities = self.cast(soft, e, "attention probabilities")
        out = self.record("attention output by head", [probabilities, v], q.rows, a.output_size, e, saved=[probabilities, v])
        merged = self.record("attention output", [out], q.rows, a.output_size, e, passes_gradient=True)
        self.drop(masked, probabilities, k, v)
        return merged

    # -- feed-forward

    def activate(self, x: Value, activation: str, label: str) -> Value:
        """An activation function that saves its input."""
        return self.record(label, [x], x.rows, x.width, x.itemsize, saved=[x])

    def mlp(self, x: Value, m: Mlp) -> Value:
        """``down(act(gate(x)) * up(x))`` or ``down(act(up(x)))``."""
        width = m.intermediate_size
        if m.gated:
            gate_name, up_name, down_name = m.modules
            if gate_name == up_name:
                both = self.linear(x, gate_name, 2 * width)
                gate = self.part(both, "gate", width)
                up = self.part(both, "up", width)
                inner = self.multiply(up, self.activate(gate, m.activation, "activated gate"), "gated product")
                out = self.linear(inner, down_name, x.width)
                self.drop(both)
            else:
                gate = self.linear(x, gate_name, width)
                active = self.activate(gate, m.activation, "activated gate")
                up = self.linear(x, up_name, width)
                inner = self.multiply(active, up, "gated product")
                out = self.linear(inner, down_name, x.width)
        else:
            up = self.linear(x, m.modules[0], width)
            inner = self.activate(up, m.activation, "activated MLP input")
            out = self.linear(inner, m.modules[-1], x.width)
        self.drop(inner, x)
        return out

    # -- a layer

    def block(self, x: Value, b: Block) -> Value:
        """One decoder layer from residual stream to residual stream [T x hidden_size]."""
        normed = self.norm(x, "input norm", b.norm)
        assert b.attention is not None and b.mlp is not None
        attended = self.attention(normed, b.attention)
        if b.num_norms == 4:
            attended = self.norm(attended, "post-attention norm", b.norm)
        if b.parallel:
            fed = self.mlp(normed, b.mlp)
            both = self.add(attended, fed, "attention and MLP")
            return self.add(both, x, "hidden states")
        middle = self.add(x, attended, "hidden states after attention")
        normed2 = self.norm(middle, "MLP norm", b.norm)
        fed = self.mlp(normed2, b.mlp)
        if b.num_norms == 4:
            fed = self.norm(fed, "post-MLP norm", b.norm)
        return self.add(middle, fed, "hidden states")


def with_rows(n: Numerics, dequantize: bool) -> Numerics:
    """The same numerics for many rows or for few."""
    return replace(n, dequantize=dequantize)
