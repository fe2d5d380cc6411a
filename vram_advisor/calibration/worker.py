"""``python -m vram_advisor.calibration.worker``: one trial in a process of its own.

It reads a ``Trial`` as one line of JSON on standard input, says what happens as one JSON object per line on standard
output, and exits when standard input ends. torch is imported when the trial is known: variables for its allocator have
to be there before.
"""

import json
import sys

from vram_advisor.calibration.channel import Channel
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import Missing
from vram_advisor.units.record import read_record


def main() -> int:
    """Run the trial; the exit code is 0 where the last word was said."""
    channel = Channel()
    trial = read_record(Trial, json.loads(channel.hear()), "trial")
    channel.say("hello")
    if trial.backend == "fake":
        from vram_advisor.calibration.fake_run import run_fake

        run_fake(channel, trial)
        return 0
    from vram_advisor.calibration.meters import meter_of
    from vram_advisor.calibration.training_step import build
    from vram_advisor.calibration.trial_loop import run_trial, tell_start

    try:
        meter = meter_of(trial.backend)
    except Missing as error:
        channel.say("missing", message=str(error))
        return 0
    tell_start(channel, meter)
    run_trial(channel, trial, meter, lambda: build(trial, meter.device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
