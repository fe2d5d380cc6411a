"""``python -m vram_advisor.calibration.trace_worker``: training steps traced in a process of its own.

It reads its jobs as one line of JSON on standard input: what is asked (trace: what a step allocates; simulate: what an
allocator takes for the steps of a trial), a list of trials, and for traces whether all layers are run, and a device or
null. It says one JSON object per job on standard output as soon as it is done: an ``answer`` whose ``outcome`` is
done, refused or broken.
What libraries print goes to standard error.
"""

import json
import sys
import traceback
from dataclasses import asdict
from typing import Any

from vram_advisor.calibration.channel import Channel
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import AdvisorError
from vram_advisor.units.record import read_record


def main() -> int:
    """Do the jobs one by one; the exit code is 0 where all were answered."""
    channel = Channel()
    asked = json.loads(channel.hear())
    channel.say("hello")
    from vram_advisor.calibration.simulated_run import simulated_reserved_bytes
    from vram_advisor.calibration.traced_run import traced

    for job, values in enumerate(asked["trials"]):
        try:
            trial = read_record(Trial, values, f"job {job}")
            if asked["what"] == "simulate":
                channel.say("answer", job=job, outcome="done", reserved_bytes=simulated_reserved_bytes(trial))
            else:
                trace = asdict(traced(trial, asked["full_depth"], asked["device"]))
                channel.say("answer", job=job, outcome="done", trace=trace)
        except AdvisorError as error:
            channel.say("answer", job=job, outcome="refused", kind=type(error).__name__, message=str(error))
        except MemoryError:
            channel.say("answer", job=job, outcome="refused", kind="AdvisorError", message=NO_MEMORY)
        except Exception as error:
            # To standard error, for who looks into it.
            traceback.print_exc()
            channel.say("answer", job=job, outcome="broken", message=_in_one_line(error))
    return 0


NO_MEMORY = "The memory of the computer ran out while the step was traced; it needs about 1 GiB."


def _in_one_line(error: BaseException) -> str:
    said: Any = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {said}"[:300]


if __name__ == "__main__":
    sys.exit(main())
