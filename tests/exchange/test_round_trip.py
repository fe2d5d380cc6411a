"""A plan that is written for a program and read again is the plan: every field, for plans drawn at random."""

import pytest
from random_plans import random_plan

from vram_advisor import api
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.files import export_run, import_run
from vram_advisor.exchange.programs import PROGRAMS

PLANS = 1000


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_written_is_read_again(program: str) -> None:
    for seed in range(PLANS):
        model, workload, plan = random_plan(program, seed)
        written = export_run(program, model, workload, plan)
        again = import_run(written.text.encode(), "written", program)
        assert (again.workload, again.plan) == (workload, plan), f"seed {seed}\n{written.text}"
        if PROGRAMS[program].runtime in (None, "vllm"):
            # a file of llama.cpp is named with its storage format
            assert again.model == model
        assert written.lost == (), f"seed {seed}"
        assert again.unknown == again.not_modelled == (), f"seed {seed}\n{written.text}"


def test_slots_of_llama_server_are_written_in_another_form_of_the_same_estimate() -> None:
    settle = PROGRAMS["llama-server"].settle
    for sequences, slots in ((1, None), (3, None), (6, None), (2, 8), (5, 5), (1, 2)):
        workload = Workload(context_length=2000, num_sequences=sequences)
        plan = Plan(runtime="llama.cpp", quantization="q4_k_m", n_parallel=slots)
        settled = settle(workload, plan)
        assert settle(*settled) == settled
        asked = api.check("8b", workload=workload, plan=plan, gpu="a100-80gb")
        written = api.check("8b", workload=settled[0], plan=settled[1], gpu="a100-80gb")
        assert asked.options[0].estimate.minimum_mean == written.options[0].estimate.minimum_mean
