"""The tape: buffers live as long as PyTorch would let them."""

from vram_advisor.domain.amount import Amount, evaluate, size
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.play import Moment, Profile, profile
from vram_advisor.memory.tape import Tape, Value

TOKENS = (1, 10, 10, 128, 100, 100, 10, 3, 64)
"""Values of the symbols for one sequence of ten tokens."""


def largest(moments: tuple[Moment, ...]) -> int:
    return int(max(evaluate(m.size, TOKENS) for m in moments))


def play(tape: Tape, source: Value, result: Value) -> Profile:
    gradient = Amount("gradient", result.rows, result.width, result.itemsize, "gradient")
    return profile(tape, source, result, gradient)


def test_a_buffer_goes_after_its_last_use() -> None:
    """Three scalings in a row need two buffers at a time, not three."""
    tape = LayerTape(Numerics())
    x = tape.value("x", "T", 1, 4, needs_grad=True)
    y = tape.scale(tape.scale(tape.scale(x, "a"), "b"), "c")
    assert largest(play(tape, x, y).forward) == 2 * 10 * 4


def test_what_is_saved_stays_until_its_node_has_run() -> None:
    """A product of two tensors saves both; between the passes both are there, after it none is."""
    tape = LayerTape(Numerics())
    x = tape.value("x", "T", 1, 4, needs_grad=True)
    a, b = tape.scale(x, "a"), tape.scale(x, "b")
    y = tape.multiply(a, b, "product")
    played = play(tape, x, y)
    assert evaluate(played.saved.size, TOKENS) == 2 * 10 * 4
    # Backward: saved a and b, the gradient that arrives, and the two gradients it makes.
    assert largest(played.backward) == 5 * 10 * 4


def test_without_saving_only_the_frame_counts() -> None:
    tape = LayerTape(Numerics())
    x = tape.value("x", "T", 1, 4, needs_grad=True)
    a, b = tape.scale(x, "a"), tape.scale(x, "b")
    tape.multiply(a, b, "product")
    y = tape.scale(tape.operations[-1].output or x, "end")
    played = play(tape, x, y)
    assert largest(played.forgetful) == 3 * 10 * 4
    assert largest(played.forward) == 4 * 10 * 4


def test_addition_hands_its_gradient_on() -> None:
    """A residual connection costs no second gradient."""
    tape = LayerTape(Numerics())
    x = tape.value("x", "T", 1, 4, needs_grad=True)
    y = tape.add(x, tape.scale(x, "branch"), "sum")
    assert largest(play(tape, x, y).backward) == 2 * 10 * 4


def test_parameter_gradients_stay_with_the_first_micro_batch_only() -> None:
    for keep, bytes_kept in ((True, 6 * 4), (False, 0)):
        tape = LayerTape(Numerics(weight=4, stream=4, train_base=True), keep_gradients=keep)
        x = tape.value("x", "T", 2, 4, needs_grad=True)
        y = tape.matmul(x, "linear", 2, 3, 4, trained=True)
        assert play(tape, x, y).parameter_gradients == bytes_kept


def test_sizes_are_linear_in_their_symbols() -> None:
    assert evaluate(size("T", 3), TOKENS) == 30
    assert Amount("x", "T", 5, 2, "activation", copies=4).nbytes(TOKENS) == 4 * 10 * 5 * 2


def test_the_sentence_is_the_number() -> None:
    amount = Amount("gate", "T", 11008, 2, "activation", copies=32)
    assert amount.sentence(TOKENS) == "2 B × 32 × 10 tokens × 11,008 (gate)"
    assert amount.nbytes(TOKENS) == 2 * 32 * 10 * 11008
