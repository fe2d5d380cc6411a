"""The catalogue of GPUs: one card by the name a person types or a driver prints, or the list of all."""

from collections.abc import Iterator
from dataclasses import replace

from vram_advisor.domain.gpu import GpuRow, GpuSnapshot, GpuSpec
from vram_advisor.sources.gpu_file import Head, by_key, heads, record
from vram_advisor.sources.gpu_names import find_run, is_variant, names_card, split_size, words
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import BadInput

_FEW = 6
"""More cards than this share a word by chance, and naming them all helps nobody."""


def find_gpu(name: str, memory_bytes: int | None = None) -> GpuSpec:
    """The card of this name.

    Case, separators and a leading maker's name do not matter. A chip that is sold with several sizes of memory is
    asked for with its size (``m4-max-40c 64gb``), as is one that takes its memory from the computer (``780m 32gb``).

    Args:
        name: an id or an alias.
        memory_bytes: nominal memory [B], where the name does not say it.

    Raises:
        BadInput: no card has this name (the three nearest are given), or several have (they are named).
    """
    asked = words(name)
    if not asked:
        raise BadInput("The name of a GPU is empty.")
    size = None if memory_bytes is None else round(memory_bytes / GIB)
    exact = by_key("".join(asked))
    if exact is None:
        asked, said = split_size(asked)
        size = size if said is None else said
        exact = by_key("".join(asked))
    cards = [exact] if exact else _variants(asked)
    choices = [(card, gib) for card in cards for gib in card.sizes_gib or (size,) if size is None or gib == size]
    if len(choices) == 1:
        card, gib = choices[0]
        if gib is None:
            raise BadInput(
                f"{card.id} shares the memory of the computer: write how much it has, such as {card.id}-32gb."
            )
        return record(card).spec(gib * GIB)
    if choices:
        raise BadInput(
            f"'{name}' could be {_either([card.id_of(gib or 32) for card, gib in choices])}: write which one."
        )
    if cards:
        known = [f"{card.id_of(gib)} ({gib} GB)" for card in cards for gib in card.sizes_gib]
        raise BadInput(f"'{name}' is not in the catalogue with {size} GB: there is {_either(known)}.")
    near = ", ".join(_nearest(asked))
    raise BadInput(
        f"No GPU is called '{name}'. {f'Nearest: {near}' if near else '`vram-advisor gpus` lists the names'}."
    )


def match_reported(name: str, total_bytes: int) -> GpuSpec | None:
    """The card that a driver calls ``name`` and that has ``total_bytes`` [B] of memory; None where none fits both.

    Memory variants print one name and are told apart by the total. A laptop card that prints the name of a desktop
    card of the same size cannot be: the desktop card is returned (``with_spec`` says so).
    """
    matches = _matches(name, total_bytes)
    return _fitted(matches[0], total_bytes) if matches else None


def with_spec(snapshot: GpuSnapshot) -> GpuSnapshot:
    """The GPU with its card of the catalogue, and with what only the catalogue knows; unchanged where no card fits.

    A slice of a GPU (MIG) stays without: the card's bandwidth and SMs are not its own.
    """
    matches = [] if snapshot.mig else _matches(snapshot.name, snapshot.total_bytes)
    if not matches:
        return snapshot
    total, free, used = snapshot.total_bytes, snapshot.free_bytes, snapshot.used_bytes
    if matches[0].unified and snapshot.shared_bytes is not None:
        # The driver's own carve-out is only a part of what such a GPU can use.
        shared_used = snapshot.shared_used_bytes or 0
        total += snapshot.shared_bytes
        free = None if free is None else free + snapshot.shared_bytes - shared_used
        used = None if used is None else used + shared_used
    spec = _fitted(matches[0], total)
    notes = snapshot.notes
    if others := [other.id for other in matches[1:]]:
        notes = (*notes, f"Taken for {spec.id}; {_either(others)} prints the same name and memory.")
    return replace(
        snapshot,
        spec=spec,
        total_bytes=total,
        free_bytes=free,
        used_bytes=used,
        unified=snapshot.unified or spec.unified,
        sm_count=spec.sm_count if snapshot.sm_count is None else snapshot.sm_count,
        compute_capability=snapshot.compute_capability or spec.compute_capability,
        notes=notes,
    )


def scan_gpus() -> tuple[GpuRow, ...]:
    """Every card in the order of the file, a chip with several memory sizes once per size; a few milliseconds."""
    return tuple(row for head in heads() for row in _rows(head))


def gpus_with(min_bytes: int = 0) -> tuple[GpuRow, ...]:
    """The cards with at least ``min_bytes`` [B], by the total the driver reports, else by the nominal one.

    GPUs without memory of their own are left out; of a unified memory the GPU gets a share only (``memory.usable``).
    """
    return tuple(row for row in scan_gpus() if row.vram_bytes and (row.reported_bytes or row.vram_bytes) >= min_bytes)


def list_gpus() -> tuple[GpuSpec, ...]:
    """All cards with everything that is known of them, each record checked (tens of milliseconds).

    A chip with several memory sizes appears once per size; GPUs without memory of their own are in ``scan_gpus`` only.
    """
    specs: list[GpuSpec] = []
    for head in heads():
        parsed = record(head)
        specs.extend(parsed.spec(size * GIB) for size in head.sizes_gib)
    return tuple(specs)


def _rows(head: Head) -> Iterator[GpuRow]:
    for size in head.sizes_gib or (None,):
        yield GpuRow(
            id=head.id if size is None else head.id_of(size),
            name=f"{head.name} {size} GB" if head.has_options else head.name,
            vendor=head.vendor,
            form=head.form,
            vram_bytes=None if size is None else size * GIB,
            reported_bytes=head.reported_bytes,
            launch_date=head.launch,
            unified=head.unified,
        )


def _variants(asked: tuple[str, ...]) -> list[Head]:
    """Cards that the name may mean: those that differ by size or socket only, else a few that contain it."""
    close = [head for head in heads() if is_variant(asked, head.id.split("-"))]
    if close:
        return close
    loose = [head for head in heads() if find_run(asked, head.id.split("-")) is not None]
    return loose if 1 < len(loose) <= _FEW else []


def _matches(name: str, total_bytes: int) -> list[Head]:
    """Cards that print this name and have about this much memory, the best first."""
    ranked: list[tuple[tuple[int, int, bool, int], Head]] = []
    for head in heads():
        length = max((names_card(name, reported) for reported in head.reported_names), default=0)
        distance = _distance(head, total_bytes)
        if length and distance is not None:
            ranked.append(((-length, distance, head.form == "laptop", len(head.id)), head))
    ranked.sort(key=lambda entry: entry[0])
    return [head for rank, head in ranked if rank[:2] == ranked[0][0][:2]]


def _distance(head: Head, total_bytes: int) -> int | None:
    """How far [B] the total is from the card's; None where it is another card's.

    ECC and old drivers take up to 7 % of the nominal memory (an A10 shows 23,028 of 24,576 MiB); firmware takes up to
    a fifth of a small unified one. The share of a GPU in a PC's memory is set in firmware and says nothing.
    """
    if head.form in ("apu", "igpu"):
        return 0
    least = 0.75 if head.unified else 0.9
    distances = [
        abs(total_bytes - (head.reported_bytes or size * GIB) // head.devices)
        for size in head.sizes_gib
        if least * size * GIB <= total_bytes * head.devices <= 1.02 * size * GIB
    ]
    return min(distances, default=None)


def _fitted(head: Head, total_bytes: int) -> GpuSpec:
    """The card with the size nearest to the total; with the total itself where it has no memory of its own."""
    if head.form in ("apu", "igpu"):
        return replace(record(head).spec(total_bytes), id=head.id, name=head.name)
    return record(head).spec(min(head.sizes_gib, key=lambda size: abs(size * GIB - total_bytes)) * GIB)


def _nearest(asked: tuple[str, ...]) -> list[str]:
    """Three ids: first those that contain the words, then the most similar spellings."""
    # difflib takes some milliseconds to import and is needed for an error only.
    from difflib import get_close_matches

    spelled = {spelling: head.id for head in heads() for spelling in (*head.aliases, head.id)}
    found = [head.id for head in heads() if find_run(asked, head.id.split("-")) is not None]
    found += [spelled[match] for match in get_close_matches("-".join(asked), spelled, n=12, cutoff=0.5)]
    return list(dict.fromkeys(found))[:3]


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
