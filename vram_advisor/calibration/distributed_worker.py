"""``python -m torch.distributed.run ... -m vram_advisor.calibration.distributed_worker BACKEND``: one of several.

Every process says what happens to it, with its rank; the first reads the trial from standard input and hands it on. All
hold their memory until standard input, which they share, ends.
"""

import json
import os
import sys

from vram_advisor.calibration.channel import Channel
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import Missing
from vram_advisor.units.record import read_record

COMMUNICATION = {"cuda": "nccl", "rocm": "nccl", "xpu": "xccl", "cpu": "gloo"}
"""Library by backend that processes talk through."""


def main() -> int:
    """Run this process's part of the trial; the exit code is 0 where the last word was said."""
    backend = sys.argv[1]
    channel = Channel(int(os.environ["RANK"]))
    channel.say("hello")
    import torch.distributed as dist

    from vram_advisor.calibration.meters import Meter, meter_of
    from vram_advisor.calibration.sharded_model import build_shared
    from vram_advisor.calibration.shared_tracker import SharedTracker
    from vram_advisor.calibration.tracker_meter import TrackerMeter
    from vram_advisor.calibration.trial_loop import run_trial, tell_start

    if backend not in COMMUNICATION:
        channel.say("refused", message=f"--backend {backend} does not run on several devices: use cuda, rocm or cpu.")
        return 0
    meter: Meter
    try:
        if backend == "cpu":
            meter = TrackerMeter("cpu", tracker=SharedTracker("cpu", kernels={}))
        else:
            meter = meter_of(backend, int(os.environ["LOCAL_RANK"]))  # type: ignore[arg-type]
    except Missing as error:
        channel.say("missing", message=str(error))
        return 0
    tell_start(channel, meter)
    dist.init_process_group(COMMUNICATION[backend])
    asked = [channel.hear() if channel.rank == 0 else ""]
    dist.broadcast_object_list(asked)
    trial = read_record(Trial, json.loads(asked[0]), "trial")
    run_trial(channel, trial, meter, lambda: build_shared(trial, meter.device))
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
