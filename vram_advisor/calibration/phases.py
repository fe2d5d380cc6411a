"""Borders of the phases of a training step, as the step tells them to whoever observes it."""

from typing import Protocol

from vram_advisor.domain.estimate import Phase

PHASES: tuple[Phase, ...] = (
    "forward", "loss_forward", "loss_backward", "backward_first", "backward_last", "clip", "optimizer_step",
)  # fmt: skip
"""Phases of a step that runs, in order."""
BACKWARD_MIDDLE = "backward_middle"
"""Border of the backward pass of layers between the last and the first; ``by_phase`` says where they count."""


class Observer(Protocol):
    """Whoever measures a step."""

    def enter(self, phase: str) -> None:
        """A border is passed: what was entered before ends here.

        The names are those of ``PHASES`` and ``BACKWARD_MIDDLE``. One may follow itself: once per layer and once per
        micro batch. ``forward`` begins with the embedding and the first layer; ``loss_forward`` where the last layer
        ends, and again where autocast does; ``backward_first`` where the gradient of a layer's output is there that is
        the last of its kind, ``backward_last`` that of the first of its kind (``borders.backward_borders``), and the
        last of these goes on to the end of the backward pass. Borders of layers without a gradient are left out, and
        so is that of clipping where the stack does not clip. The call comes from the thread that runs the pass.
        """


def by_phase(peaks: dict[str, int]) -> dict[str, int]:
    """Peaks [B] by border as peaks by phase.

    What a layer in the middle finds lies between what the first and the last of its kind find, since it is linear in
    its position (the saved tensors fall, the gradients grow). So it counts only where it is above both, and then in
    the phase of the higher of them.
    """
    phases: dict[str, int] = {phase: peaks[phase] for phase in PHASES if phase in peaks}
    where = phase_of_middle(peaks)
    if where is not None:
        phases[where] = peaks[BACKWARD_MIDDLE]
    return {phase: phases[phase] for phase in PHASES if phase in phases}


def phase_of_middle(peaks: dict[str, int]) -> Phase | None:
    """The phase in which the layers in the middle count; None where an end is above them."""
    ends: tuple[Phase, ...] = ("backward_first", "backward_last")
    if peaks.get(BACKWARD_MIDDLE, 0) <= max(peaks.get(end, 0) for end in ends):
        return None
    return max(ends, key=lambda end: peaks.get(end, 0))
