"""Recipes come from files that people write by hand."""

import json

import pytest

from napari_unetseg.config import Recipe, load_recipe
from napari_unetseg.errors import UserError


def test_a_recipe_survives_being_written_and_read(tmp_path):
    recipe = Recipe()
    recipe = recipe.replace(training=recipe.training.replace(steps=7, max_time_s=None))
    path = tmp_path / "recipe.json"
    path.write_text(recipe.model_dump_json())
    assert load_recipe(str(path)) == recipe


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
