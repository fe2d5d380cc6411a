"""Advice as one page: the plan as asked, what would make it fit beside it, and every change with what it costs."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.advice import Advice, AdviceAnswer, Move
from vram_advisor.domain.answer import Option
from vram_advisor.domain.job import PlannedJob
from vram_advisor.report.advising import FIELD_TITLES, advice_notes, advice_sentences, cost_words
from vram_advisor.report.command import command_line
from vram_advisor.report.formats.front_picture import SHAPES, TIER_TITLES, front_picture
from vram_advisor.report.formats.markup import SVG, html, node
from vram_advisor.report.formats.memory_picture import memory_picture
from vram_advisor.report.formats.options_picture import MARKS, WORDS, options_picture
from vram_advisor.report.formats.page_parts import code, ending, figures, items, key, page, section, unbroken
from vram_advisor.report.formats.parts import available, kind_order, needed, remaining
from vram_advisor.report.formats.tables import table_body
from vram_advisor.report.job import job_rows, job_title, lengths_sentence, speed_sentence
from vram_advisor.report.ranking import asked_words
from vram_advisor.report.words import METHODS
from vram_advisor.units.bytes import gib


def advice_page(answer: AdviceAnswer, gpu: str | None, command: str, remarks: tuple[str, ...] = ()) -> str:
    """The whole page.

    Args:
        answer: what is shown.
        gpu: the card as it was named, for the commands.
        command: the command line that makes the page again.
        remarks: what else is to be known, beside the notes of the answer.
    """
    root, main = page(advice_title(answer))
    header = node(main, "header")
    node(header, "h1", answer.model.id)
    node(header, "p", lead(answer), class_="lead")
    _verdict(main, answer)
    left, right = node(main, "div", class_="column"), node(main, "div", class_="column")
    if answer.advices:
        card = section(left, "Now, and after each change")
        card.append(options_picture(options(answer), answer.device, None, kind_order(answer.asked)))
    if answer.front:
        _front(right if answer.advices or answer.bounds else left, answer)
    if answer.bounds:
        _bounds(section(left, "How far this card goes, all else as it is"), answer)
    for number, advice in enumerate(answer.advices, 1):
        _change(main, number, advice, gpu)
    if answer.job is not None:
        _job(section(main, f"The job, {job_title(answer.job)}", "wide late"), answer.job)
    if known := (*advice_notes(answer), *remarks):
        items(section(main, "Worth knowing", "wide last"), known)
    ending(main, command)
    return html(root)


def advice_title(answer: AdviceAnswer) -> str:
    """What was asked, in one line."""
    where = f" on {answer.device.name}" if answer.device else ""
    return f"{answer.model.id}, {METHODS[answer.workload.method]}{where}: what would make it fit"


def lead(answer: AdviceAnswer) -> str:
    """The question below the name of the model."""
    device = answer.device
    each = f"{device.count} × " if device is not None and device.count > 1 else ""
    return f"{asked_words(answer.workload)}{f' on {each}{device.name}' if device else ''}"


def options(answer: AdviceAnswer) -> list[Option]:
    """The plan as asked, and each change as an option beside it."""
    changed = [
        Option(f"Change {i}", a.plan, answer.asked.recipe, a.estimate, a.verdict)
        for i, a in enumerate(answer.advices, 1)
    ]
    asked = answer.asked
    return [Option("As asked", asked.plan, asked.recipe, asked.estimate, asked.verdict), *changed]


def _verdict(main: Element, answer: AdviceAnswer) -> None:
    card, option, device = section(main, None, "wide"), options(answer)[0], answer.device
    card.set("aria-label", "Verdict")
    outcome, spare = option.verdict.outcome, option.verdict.headroom_bytes
    rows: list[tuple[str, int | None]] = [("as asked it needs", option.estimate.peak.minimum_bytes.mid)]
    rows.append(("free", available(option, device) if device else None))
    rows.append(("to spare" if (spare or 0) >= 0 else "too much", None if spare is None else abs(spare)))
    figures(card, f"{MARKS[outcome]} {WORDS[outcome].upper()}", outcome, rows)
    card.append(memory_picture(option, device))
    order = kind_order(option)
    key(card, [*needed(option, device, order), *(remaining(option, device) if device else ())])
    text = node(card, "div", class_="text")
    node(text, "p", unbroken(option.verdict.reason))
    if answer.speed is not None:
        said = speed_sentence(answer.speed, answer.workload.trains)
        node(
            text,
            "p",
            unbroken(f"If it fitted: {said[0].lower()}{said[1:]}" if outcome == "no" else said),
            class_="quiet",
        )
    if not answer.advices and outcome not in ("fits", "unknown"):
        node(text, "p", "Nothing that is known here makes it fit this card.")


def _front(parent: Element, answer: AdviceAnswer) -> None:
    card = section(parent, "Memory against time: what nothing beats")
    card.append(front_picture(answer))
    listed = node(card, "ul", class_="key")
    for tier in dict.fromkeys(advice.tier for advice in answer.front):
        item, (path, style) = node(listed, "li"), SHAPES[tier]
        swatch = node(
            item, "svg", xmlns=SVG, class_="picture", width=18, height=18, viewBox="-9 -9 18 18", aria_hidden="true"
        )
        node(swatch, "path", d=path, class_=style)
        node(item, "span", TIER_TITLES[tier])
    said = "No plan that was looked at beats these in memory, time and quality at once. Time for the same work, ×1: as asked."
    node(card, "p", said, class_="quiet note")
    ranked = node(card, "ol", class_="phases")
    for advice in answer.front:
        item, outcome = node(ranked, "li"), advice.verdict.outcome
        row = node(item, "div")
        node(row, "data", gib(advice.estimate.minimum_mean), value=str(round(advice.estimate.minimum_mean)))
        node(row, "span", f"×{advice.relative_time:.2f} the time, {WORDS[outcome]}")
        node(item, "span", " + ".join(move.title for move in advice.moves), class_="quiet")


def _change(main: Element, number: int, advice: Advice, gpu: str | None) -> None:
    reasons = f" ({', '.join(advice.reasons)})" if advice.reasons else ""
    card = section(main, f"Change {number}{reasons}", "wide late")
    listed = node(card, "ol", class_="next")
    for move in advice.moves:
        _move(node(listed, "li"), move)
    for sentence in advice_sentences(advice):
        node(card, "p", unbroken(sentence))
    code(node(card, "pre"), command_line(advice.model.id, advice.workload, advice.asked, gpu))


def _move(item: Element, move: Move) -> None:
    node(item, "strong", move.title)
    said = [f"Keeps the {move.tier}." if move.tier in ("same result", "same model") else ""]
    said += [cost_words([move.cost] if move.cost else []), f"Needs: {move.needs}." if move.needs else ""]
    node(item, "div", unbroken(" ".join(each for each in said if each)), class_="quiet")


def _bounds(card: Element, answer: AdviceAnswer) -> None:
    body = table_body(_scroll(card, "How far this card goes"), ["", "asked", "largest", "then"])
    for bound in answer.bounds:
        row = node(body, "tr")
        node(row, "th", FIELD_TITLES[bound.field], scope="row")
        node(row, "td", f"{bound.asked:,}", class_="number")
        node(row, "td", f"{bound.largest:,}", class_="number")
        node(row, "td", bound.next_step)


def _job(card: Element, planned: PlannedJob) -> None:
    body = table_body(_scroll(card, "The job"), ["", "90 % in brackets", ""])
    for name, value, note in job_rows(planned):
        row = node(body, "tr")
        node(row, "th", name, scope="row")
        node(row, "td", unbroken(value))
        node(row, "td", note)
    if said := lengths_sentence(planned):
        node(card, "p", said, class_="quiet note")


def _scroll(parent: Element, label: str) -> Element:
    return node(parent, "div", class_="scroll", tabindex="0", role="region", aria_label=label)
