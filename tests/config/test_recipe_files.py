"""Recipes come from files that people write by hand."""

import json

import pytest

from napari_unetseg.config import PRESETS, Recipe, UNet2015Config, UNetConfig, load_recipe
from napari_unetseg.errors import UserError


def test_a_recipe_survives_being_written_and_read(tmp_path):
    recipe = Recipe()
    recipe = recipe.replace(training=recipe.training.replace(steps=7, max_time_s=None))
    path = tmp_path / "recipe.json"
    path.write_text(recipe.model_dump_json())
    assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_survives_being_written_and_read(tmp_path, name):
    path = tmp_path / "recipe.json"
    path.write_text(PRESETS[name].model_dump_json())
    assert load_recipe(str(path)) == load_recipe(name) == PRESETS[name]


@pytest.mark.parametrize(
    ("written", "network"),
    [
        ({"filters": 8}, UNetConfig(filters=8)),
        ({"kind": "unet", "filters": 8}, UNetConfig(filters=8)),
        ({"kind": "unet2015"}, UNet2015Config()),
        ({"kind": "unet2015", "filters": 8}, UNet2015Config(filters=8)),
    ],
)
def test_the_kind_of_a_network_is_the_usual_one_where_it_is_left_out(tmp_path, written, network):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"network": written}))
    assert load_recipe(str(path)).network == network


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a JSON file"),
        (b"\xff\xfe", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b'{"training": {"seed": ' + b"9" * 5000 + b"}}", "not a JSON file"),
        (b"[]", "the top level"),
        (b'{"training": {"learning_rate": Infinity}}', r"training\.learning_rate"),
        (b'{"training": {"noise": 1}}', "is not a setting"),
        (b'{"training": {"loss": {"cross_entropy": 0, "dice": 0}}}', "nothing to learn from"),
        (b'{"network": {"kind": "unet1915"}}', "network.*does not match any of the expected tags"),
        (
            b'{"network": {"kind": "unet2015", "norm": "batch"}}',
            r"network\.norm' is not a setting",
        ),
        (b'{"network": {"depth": 9}}', r"'network\.depth' is 9"),
        (b'{"network": {"anisotropy": 0.001}}', "at least 0.1 times as thick"),
        (b'{"training": {"augmentation": {"elastic": 10}}}', "elastic' is 10"),
        (b'{"training": {"augmentation": {"elastic_grid": 20000}}}', "elastic_grid' is 20000"),
    ],
)
def test_what_is_no_recipe_is_refused_in_a_sentence(tmp_path, content, complaint):
    path = tmp_path / "recipe.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)


def test_there_is_no_infinite_setting(tmp_path):
    augmentation = Recipe().training.augmentation.model_dump()
    for name, value in augmentation.items():
        if isinstance(value, float):
            changed = {**augmentation, name: float("inf")}
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps({"training": {"augmentation": changed}}))
            with pytest.raises(UserError, match=name):
                load_recipe(str(path))
