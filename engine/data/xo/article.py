"""The article's ten 9 x 9 pictures: an X, an O, and four variants of each.

Source: the slides of Brandon Rohrer, "How do Convolutional Neural Networks work?". The two originals agree with the
worked example to the last digit; the variants were sampled from the pixels of the slide.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.data.dataset import Dataset
from engine.drawings import FloatArray

SIDE: Final = 9

_ROWS: Final = {
    "X": "......... .#.....#. ..#...#.. ...#.#... ....#.... ...#.#... ..#...#.. .#.....#. .........",
    "O": "......... ...###... ..#...#.. .#.....#. .#.....#. .#.....#. ..#...#.. ...###... .........",
    "X translation": "#.....#.. .#...#... ..#.#.... ...#..... ..#.#.... .#...#... #.....#.. ......... .........",
    "O translation": "......... ......... ..###.... .#...#... #.....#.. #.....#.. #.....#.. .#...#... ..###....",
    "X scaling": "......... ......... ..#...#.. ...#.#... ....#.... ...#.#... ..#...#.. ......... .........",
    "O scaling": "......... ......... ...###... ..#...#.. ..#...#.. ..#...#.. ...###... ......... .........",
    "X rotation": "......... ......#.. .#...#... ..##.#... ....#.... ...#.##.. ...#...#. ..#...... .........",
    "O rotation": "......... ...##.... ..#..##.. ..#....#. .#.....#. .#....#.. ..##..#.. ....##... .........",
    "X weight": "......... ##....##. .##..##.. ..####... ...##.... ..####... .##..##.. ##....##. .........",
    "O weight": "......... ...###... ..#####.. .##...##. .##...##. .##...##. ..#####.. ...###... .........",
}


def _picture(rows: str) -> FloatArray:
    picture = np.array([[1 if cell == "#" else -1 for cell in row] for row in rows.split()], np.float32)
    picture.flags.writeable = False
    return picture


# By name: (9, 9) float32, read-only, -1 background to 1 ink.
ARTICLE_PICTURES: Final[dict[str, FloatArray]] = {name: _picture(rows) for name, rows in _ROWS.items()}


def article_examples() -> Dataset:
    """The ten pictures as a Dataset, labelled X or O."""
    images = np.stack(list(ARTICLE_PICTURES.values()))[:, None]
    return Dataset(images, np.array(["XO".index(name[0]) for name in ARTICLE_PICTURES], np.int64), ("X", "O"))
