"""A trial on tensors without memory, told like one that runs (torch)."""

from vram_advisor.calibration.channel import Channel
from vram_advisor.calibration.versions import installed
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import AdvisorError, Missing


def run_fake(channel: Channel, trial: Trial) -> None:
    """Trace all layers of the trial's model; the allocator is a simulated one, and no time is measured."""
    from vram_advisor.calibration.traced_run import traced

    channel.say("started", versions=installed(), device="tensors without memory")
    try:
        trace = traced(trial, full_depth=True)
    except AdvisorError as error:
        channel.say("missing" if isinstance(error, Missing) else "refused", message=str(error))
        return
    channel.say(
        "measured",
        resident_bytes=trace.resident_bytes,
        phase_bytes={phase.phase: phase.allocated_bytes for phase in trace.phases},
        allocated_bytes=trace.peak.allocated_bytes,
        reserved_bytes=trace.reserved_bytes,
    )
    channel.hold()
