"""A plan that is written for a program and read again is the plan: every field, for plans drawn at random."""

import pytest
from random_plans import random_plan

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
        assert written.lost == (), f"seed {seed}"
        assert again.unknown == again.not_modelled == (), f"seed {seed}\n{written.text}"
