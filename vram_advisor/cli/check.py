"""``vram-advisor check``: will it fit?"""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Group, Parameter

from vram_advisor import api
from vram_advisor.cli.configured import Config, ConfigFormat, asked, show_imported, suited
from vram_advisor.cli.exit_codes import ExitCode, code_of
from vram_advisor.cli.formatted import AnyForm, Output, answer_text, chosen, deliver, deliver_json, deliver_lines
from vram_advisor.cli.help_columns import whole_names
from vram_advisor.cli.output import narrate, print_text, progress, terminal_width
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import SERVED
from vram_advisor.units.errors import BadInput

UNSET = (
    "Options without a default: without --quantization FP16, Q8 and Q4 of the base are compared (a full fine-tune "
    "compares precisions and optimizers); --optimizer, --gradient-checkpointing, --attn-implementation and --loss are "
    "as the recipe does; --weights-dtype and --mixed-precision follow from recipe and quantization; --prompt-length is "
    "the whole context; caches have the type of the weights."
)
"""What happens where an option is left out that the help shows without a default."""
VALUES = ("quantization", "recipe", "optimizer", "attn_implementation", "loss")


def _values() -> str:
    """The values of the options whose choices are rows of a table."""
    from vram_advisor.report.choices import names

    listed = [f"--{field.replace('_', '-')}: {', '.join(names(field))}" for field in VALUES]
    listed.append(f"--recipe at inference: {', '.join(SERVED)}")
    return "\n\n".join([UNSET, *listed])


ASKED = Group("What is asked", sort_key=1, help_formatter=whole_names)
LEVERS = Group("Levers", sort_key=2, help_formatter=whole_names)
app = App(name="check", help_epilogue=_values())


@app.default
def check(
    *,
    model: Annotated[
        str | None,
        Parameter(help="Alias (7b, llama-3.1-8b), config.json, model folder, .safetensors file, or owner/name."),
    ] = None,
    config: Config = None,
    config_format: ConfigFormat = None,
    emit: Annotated[
        str | None,
        Parameter(help="Write the plan to standard output as a file or command of a program, of the same ones."),
    ] = None,
    gpu: Annotated[str | None, Parameter(help="A card by name (rtx-5070); without it the one in this machine.")] = None,
    gpu_index: Annotated[int | None, Parameter(help="Which GPU of this machine.")] = None,
    strict: Annotated[
        bool, Parameter(negative=(), help="Exit with 1 also where the answer is tight or unknown.")
    ] = False,
    json: Annotated[bool, Parameter(negative=(), help="Print the answer as JSON.")] = False,
    form: AnyForm = "table",
    output: Output = None,
    explain: Annotated[bool, Parameter(negative=(), help="Show every product behind every number.")] = False,
    no_calibration: Annotated[
        bool, Parameter(negative=(), help="Nominal coefficients, whatever was measured.")
    ] = False,
    trace: Annotated[
        bool, Parameter(negative=(), help="Answer by a trace of the real training code; takes seconds.")
    ] = False,
    workload: Annotated[Workload | None, Parameter(name="*", group=ASKED)] = None,
    plan: Annotated[Plan | None, Parameter(name="*", group=LEVERS)] = None,
    given: Annotated[frozenset[str], Parameter(parse=False)] = frozenset(),
) -> int:
    """Say whether it fits, where the memory goes, and what to do next."""
    if gpu is not None and gpu_index is not None:
        narrate("--gpu names a card and --gpu-index takes one of this machine: use one of the two.")
        return ExitCode.BAD_INPUT
    form = chosen(form, json)
    if emit is not None and form != "table":
        raise BadInput(f"--emit writes the file of a program: leave out one of --emit and --format {form}.")
    run = asked(model, config, config_format, workload, plan, given)
    model, workload, plan, imported = run.model, run.workload, run.plan, run.imported
    if emit is not None:
        plan = suited(emit, plan or Plan(), given)
    # A page compares its whole map with the memory that is free now.
    machine = api.detect() if form == "html" and gpu is None else None
    progress("tracing the training step ..." if trace else "")
    answer = api.check(
        model,
        gpu=gpu,
        gpu_index=gpu_index,
        workload=workload,
        plan=plan,
        calibrated=not no_calibration,
        trace=trace,
        advised=emit is None,
        machine=machine,
    )
    progress("")
    if imported is not None:
        show_imported(imported, given, leftovers_only=form != "table" or output is not None or emit is not None)
    if emit is not None:
        _emitted(emit, model, answer, output)
    elif form == "json":
        from vram_advisor.report.document import answer_document

        deliver_json(answer_document(answer, imported), output)
    elif form == "table":
        from datetime import UTC, datetime

        from vram_advisor.report.screen import answer_lines

        now = datetime.now(UTC)
        deliver_lines(lambda look, width: answer_lines(answer, look, width, explain, now), terminal_width(), output)
    else:
        from vram_advisor.report.formats.asked import Asked

        question = Asked(
            model, gpu, gpu_index, answer.workload, plan or Plan(), machine, calibrated=not no_calibration, traced=trace
        )
        deliver(answer_text(form, answer, question, imported), output)
    return _concluded(answer, strict)


def _emitted(program: str, model: str, answer: Answer, output: str | None) -> None:
    """The plan as a file; the verdict and what the file cannot say on standard error."""
    from vram_advisor.report.words import shown, verdict

    option = shown(answer)
    written = api.write_run(program, model, answer.workload, option.plan)
    if output is None:
        print_text(written.text)
    else:
        deliver(written.text, output)
    said = verdict(answer)
    narrate(f"{said.badge}: {said.text}")
    for sentence in written.lost:
        narrate(sentence)


def _concluded(answer: Answer, strict: bool) -> ExitCode:
    from vram_advisor.report.words import aside

    said = aside(answer)
    if said is not None:
        narrate(said)
    return code_of(answer, strict)
