"""The results table of the README says what the recipes' READMEs and the models' own cards say."""

import json
import re
from pathlib import Path

import pytest

from speechrnn.runtime.model_file import ModelFile
from speechrnn.runtime.model_registry import shipped_models

ROOT = Path(__file__).parent.parent
RECIPE = re.compile(r"\(recipes/(\w+)/README\.md\)")
FIGURE = re.compile(r"\d+(?:\.\d+)? %(?: \[[^\]]*\])?")
CARDS = {
    path.parent.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.glob("recipes/*/card.json"))
}
SHIPPED = [recipe for recipe, card in CARDS.items() if card["name"] in shipped_models()]


def table() -> list[tuple[str, str]]:
    """Read the rows: recipe and result; a row without a link belongs to the recipe above it."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Results")[1].split("\n## ")[0]
    rows = [line.strip("| ").split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    found: list[tuple[str, str]] = []
    for cells in rows:
        link = RECIPE.search(cells[0])
        found.append((link[1] if link else found[-1][0], cells[2]))
    return found


@pytest.mark.parametrize(("recipe", "result"), table())
def test_every_figure_of_the_table_is_in_the_recipes_readme(recipe: str, result: str) -> None:
    figures = FIGURE.findall(result)
    assert figures, f"no figure in {result!r}"
    said = " ".join((ROOT / "recipes" / recipe / "README.md").read_text(encoding="utf-8").split())
    assert [figure for figure in figures if figure not in said] == []


def test_every_shipped_model_has_a_recipe_with_its_card() -> None:
    assert sorted(CARDS[recipe]["name"] for recipe in SHIPPED) == sorted(shipped_models())


@pytest.mark.parametrize("recipe", SHIPPED)
def test_a_card_tells_a_result_of_the_table(recipe: str) -> None:
    figures = {figure for name, result in table() if name == recipe for figure in FIGURE.findall(result)}
    told = CARDS[recipe]["results"]
    assert figures & set(FIGURE.findall(told)), f"{told!r} has no figure of the table"


@pytest.mark.parametrize("recipe", SHIPPED)
def test_a_shipped_model_carries_the_card_of_its_recipe(recipe: str) -> None:
    card = CARDS[recipe]
    assert dict(ModelFile(shipped_models()[card["name"]]).info.card) == card
