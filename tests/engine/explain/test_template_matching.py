"""Template matching against plain loops and the article's pictures, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.xo import ARTICLE_PICTURES, baseline
from engine.explain import match_templates
from engine.explain.template_matching import template_scores
from tests.engine.small_runs import xo_templates

ROWS_X = "......... .#.....#. ..#...#.. ...#.#... ....#.... ...#.#... ..#...#.. .#.....#. ........."
ROWS_O = "......... ...###... ..#...#.. .#.....#. .#.....#. .#.....#. ..#...#.. ...###... ........."


def signs(picture: np.ndarray) -> str:
    return " ".join("".join("#" if value > 0 else "." for value in row) for row in picture)


def counted(picture: np.ndarray, rows: str) -> float:
    """Pixels alike less pixels unlike, of all 81, by reading characters."""
    pairs = [(own, other) for own, other in zip(signs(picture), rows, strict=True) if own != " "]
    return sum(1 if own == other else -1 for own, other in pairs) / len(pairs)


def test_the_score_is_the_mean_of_all_products_of_pixels() -> None:
    picture = np.random.default_rng(3).uniform(-1, 1, (12, 12)).astype(np.float32)
    given = xo_templates(12)
    found = match_templates(given, picture)
    for index, exemplar in enumerate(given.pictures):
        total = 0.0
        for row in range(12):
            for column in range(12):
                product = float(picture[row, column]) * float(exemplar[row, column])
                assert found.products[index, row, column] == pytest.approx(product, abs=1e-6)
                total += product
        assert found.scores[index] == pytest.approx(total / 144, abs=1e-6)
    np.testing.assert_allclose(template_scores(given, picture[None])[0], found.scores, atol=1e-6)


def test_at_nine_pixels_the_exemplars_are_the_articles_and_the_numbers_are_counted_pixels() -> None:
    given = xo_templates(9)
    assert [signs(picture) for picture in given.pictures] == [ROWS_X, ROWS_O]
    for picture in ARTICLE_PICTURES.values():
        np.testing.assert_allclose(
            match_templates(given, picture).scores, [counted(picture, ROWS_X), counted(picture, ROWS_O)]
        )
    assert match_templates(given, ARTICLE_PICTURES["X"]).scores.tolist() == pytest.approx([1.0, 39 / 81])


def test_the_article_s_shifted_and_shrunk_o_are_taken_for_an_x() -> None:
    given = xo_templates(9)
    found = {name: match_templates(given, picture) for name, picture in ARTICLE_PICTURES.items()}
    assert {name: match.predicted_class for name, match in found.items()} == {
        "X": "X", "X translation": "X", "X scaling": "X", "X rotation": "X", "X weight": "X",
        "O": "O", "O translation": "X", "O scaling": "X", "O rotation": "O", "O weight": "O",
    }  # fmt: skip


def test_a_blank_picture_and_a_tie_are_no_verdict() -> None:
    given = xo_templates(9)
    assert match_templates(given, np.full((9, 9), -1, np.float32)).predicted_class == "unsure"
    assert match_templates(given, np.zeros((9, 9), np.float32)).predicted_class == "unsure", (
        "grey is no more like one than another"
    )


def test_other_sizes_have_a_plain_upright_x_and_a_round_o() -> None:
    x, o = xo_templates(40).pictures
    for turned in (x.T, x[::-1], x[:, ::-1]):
        np.testing.assert_allclose(turned, x, atol=1e-5)
    for turned in (o.T, o[::-1]):
        np.testing.assert_allclose(turned, o, atol=0.1)
    assert o[20, 20] == -1 < x[20, 20]
    for picture in (x, o):
        (inked,) = np.nonzero(picture.max(axis=0) > 0)
        assert abs(np.ptp(inked) + 1 - 40 * baseline(40).size) <= 1
    assert xo_templates(40) is xo_templates(40)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="templates are"):
        match_templates(xo_templates(9), np.zeros((8, 8), np.float32))
