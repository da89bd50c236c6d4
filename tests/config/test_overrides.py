"""Paths and names with characters that Hydra's grammar does not accept unquoted."""

from __future__ import annotations

import pytest

from vision2.config.compose import load_config
from vision2.config.overrides import check_overrides, expand, list_of, quote_overrides


@pytest.mark.parametrize(
    "name", ["año 2024/niños", "fotos (1)", "it's", "a=b", "☕ café", "tab\\", "mis fotos", "fotos [1]", "{x}", "ñ,o"]
)
def test_a_folder_with_any_name_needs_no_quotes(tmp_path, name):
    assert load_config([f"output_dir={tmp_path}/{name}"]).output_dir == f"{tmp_path}/{name}"


@pytest.mark.parametrize("written", ["[niños,gatos]", "[ niños, gatos ]", "['niños',gatos]", '["niños","gatos"]'])
def test_classes_with_any_name_need_no_quotes(written):
    assert load_config([f"dataset.classes={written}"]).dataset.classes == ["niños", "gatos"]


@pytest.mark.parametrize("word", ["model=a,b", "train.epochs=3", "x='ñ'", "train.epochs 3", "dataset.classes=[a,b]", "ñ=1"])
def test_readable_overrides_and_words_without_a_value_stay_unchanged(word):
    assert quote_overrides([word]) == [word]


@pytest.mark.parametrize("written", ["3,diente de león,it's", "[3, diente de león , it's,]"])
def test_a_list_of_names_is_written_so_that_hydra_reads_it(written):
    assert load_config([f"dataset.unseen={list_of(written)}"]).dataset.unseen == ["3", "diente de león", "it's"]


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "k=v", "a,b", "#1", "🐈", "[x], {y}", "100% (ñ)", "$HOME"])
def test_a_path_with_any_character_is_one_value_in_single_runs_and_in_sweeps(tmp_path, name):
    (tmp_path / name).mkdir()
    word = f"dataset.root={tmp_path / name}"
    assert load_config(["dataset=folder", word]).dataset.root == str(tmp_path / name)
    (quoted,) = quote_overrides([word])
    check_overrides(["dataset=folder", quoted])
    assert expand(quoted) == [quoted]


@pytest.mark.parametrize("sentence", ["plain, then residual", "¿la red plana?", "it's 90 %", "true", "a=b (c)", "[x], {y}"])
def test_a_prediction_is_any_sentence(sentence):
    (override,) = quote_overrides([f"prediction={sentence}"])
    assert load_config([override]).prediction == sentence
    assert len(expand(override)) == 1
