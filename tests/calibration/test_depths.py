"""Two depths from which any follows."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vram_advisor.calibration.depths import Pattern, at_depth, layer_kinds, pattern, two_depths
from vram_advisor.sources.catalog_models import find_record, list_models
from vram_advisor.units.errors import BadInput


def test_equal_layers_need_three_and_four() -> None:
    assert two_depths({"num_hidden_layers": 32}) == (3, 4)


def test_a_shallow_model_is_run_whole() -> None:
    assert two_depths({"num_hidden_layers": 6}) == (6,)


def test_layers_without_a_pattern_are_run_whole() -> None:
    assert two_depths({"num_hidden_layers": 5, "layer_types": list("abcde")}) == (5,)


@pytest.mark.parametrize("key", ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"])
def test_every_name_of_the_count_is_known(key: str) -> None:
    assert at_depth({key: 32}, 3) == {key: 3}


def test_a_list_of_kinds_counts_layers_too() -> None:
    assert two_depths({"layers_block_type": ["mamba", "attention"] * 16}) == (4, 6)


def test_a_configuration_without_a_count_is_refused() -> None:
    with pytest.raises(BadInput, match="does not count its layers"):
        two_depths({"hidden_size": 64})


def test_the_text_model_may_be_nested() -> None:
    config = {
        "model_type": "gemma3",
        "text_config": {"num_hidden_layers": 32},
        "vision_config": {"num_hidden_layers": 27},
    }
    short = at_depth(config, two_depths(config)[0])
    assert short["text_config"] == {"num_hidden_layers": 3}
    assert short["vision_config"] == {"num_hidden_layers": 27}


def test_dense_layers_in_front_stay() -> None:
    config = {"num_hidden_layers": 27, "first_k_dense_replace": 1}
    assert two_depths(config) == (4, 5)
    assert at_depth(config, 4) == {"num_hidden_layers": 4, "first_k_dense_replace": 1}


def test_lists_with_an_entry_per_layer_lose_whole_groups() -> None:
    kinds = (["sliding"] * 5 + ["full"]) * 8
    config = {"num_hidden_layers": 48, "layer_types": kinds}
    assert two_depths(config) == (12, 18)
    assert at_depth(config, 18)["layer_types"] == (["sliding"] * 5 + ["full"]) * 3


def test_a_group_that_is_cut_short_by_the_end_stays_cut_short() -> None:
    kinds = (["sliding"] * 5 + ["full"]) * 10 + ["sliding"] * 2
    config = {"num_hidden_layers": 62, "layer_types": kinds}
    assert two_depths(config) == (14, 20)
    assert at_depth(config, 14)["layer_types"] == (["sliding"] * 5 + ["full"]) * 2 + ["sliding"] * 2


def test_layers_named_by_number_move_with_what_is_removed() -> None:
    config = {"num_hidden_layers": 40, "cross_attention_layers": list(range(3, 40, 5))}
    short, long = (at_depth(config, depth) for depth in two_depths(config))
    assert [i % 5 for i in short["cross_attention_layers"]] == [3] * (short["num_hidden_layers"] // 5)
    assert len(long["cross_attention_layers"]) == len(short["cross_attention_layers"]) + 1


KINDS = st.lists(st.sampled_from("abc"), max_size=4)


@dataclass
class Layered:
    prefix: list[str]
    group: list[str]
    groups: int
    rest: list[str]

    @property
    def kinds(self) -> list[str]:
        return self.prefix + self.group * self.groups + self.rest


MODELS = st.builds(Layered, KINDS, st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers(3, 20), KINDS)


@given(MODELS)
def test_a_pattern_has_all_layers_and_its_groups_are_equal(model: Layered) -> None:
    found = pattern(model.kinds)
    assert found.layers == len(model.kinds)
    stop = found.layers - found.rest
    for i in range(found.prefix, stop - found.group):
        assert model.kinds[i] == model.kinds[i + found.group]


@given(MODELS)
def test_depths_never_cost_more_than_the_whole(model: Layered) -> None:
    found = pattern(model.kinds)
    assert sum(found.depths) <= found.layers


@given(MODELS)
def test_a_small_depth_has_the_pattern_of_the_whole(model: Layered) -> None:
    config = {"num_hidden_layers": len(model.kinds), "layer_types": model.kinds}
    found = pattern(model.kinds)
    for depth in found.depths:
        cut = at_depth(config, depth)["layer_types"]
        head = depth - found.rest
        assert cut == model.kinds[:head] + model.kinds[len(model.kinds) - found.rest :]


def test_the_pattern_of_equal_layers_is_one() -> None:
    assert pattern(["a"] * 32) == Pattern(prefix=0, group=1, groups=32, rest=0)


def test_models_of_the_catalogue_are_run_at_few_layers() -> None:
    for entry in list_models():
        record = find_record(entry.id)
        depths = two_depths(record.config)
        kinds = layer_kinds(record.config)
        assert sum(depths) <= len(kinds)
        assert all(a < b for a, b in pairwise(depths))
        for depth in depths:
            assert len(layer_kinds(at_depth(record.config, depth))) == depth
