"""Accuracy of the shipped network: `python3 -m tests.benchmarks.accuracy [--folder X=DIR --folder O=DIR]`.

Fresh generated drawings, with a seed that training does not use, sorted by what makes them hard; and, if given,
folders of pictures from elsewhere, one for each letter, or only the half of them that --half names. Each row is
made twice: of the drawings as they are, and of the drawings fitted to the frame first. Then how often the votes are
right.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from xo_gui.bootstrap import ensure_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backends import HostArray
    from engine.data.xo import XOSettings
    from engine.drawings import Drawing

SEED, COUNT = 20_261_123, 2_000


def main() -> int:
    """Predict everything and print the table."""
    ensure_environment((), "tests.benchmarks.accuracy")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", action="append", default=[], metavar="LETTER=DIR")
    parser.add_argument(
        "--half",
        type=int,
        choices=(0, 1),
        help="only pictures whose name's SHA-256 begins with an even (0) or an odd (1) byte",
    )
    args = parser.parse_args()
    folders = dict(item.split("=", 1) for item in args.folder)
    print("| drawings | count | X named | O named | neither unsure | wrong letter | most votes right |")
    print("|---|---|---|---|---|---|---|")
    for fit in (False, True):
        suffix = ", fitted" if fit else ""
        for name, settings in conditions().items():
            row(name + suffix, *generated(settings, fit))
        if folders:
            row("folders" + suffix, *from_folders(folders, fit, args.half))
    print_calibration(*generated(conditions()["all kinds"], fit=False))
    return 0


def conditions() -> dict[str, XOSettings]:
    """Settings of the generator, one a row."""
    from engine.data.xo import XOSettings

    plain = XOSettings(side=side(), neither=0.3, ambiguous=0.0)
    even = replace(plain, cut=0.0, neither=0.0)
    return {
        "all kinds": plain,
        "large": replace(even, size=(0.5, 1.0)),
        "small, a quarter to 0.4 of the frame": replace(even, size=(0.25, 0.4)),
        "tiny, an eighth to a quarter": replace(even, size=(0.125, 0.25)),
        "thin pen": replace(even, pen_width=(0.015, 0.03)),
        "thick pen": replace(even, pen_width=(0.1, 0.2), size=(0.5, 1.0)),
        "open circles, uneven arms": replace(even, gap=(30.0, 85.0), arms=(0.3, 0.6)),
        "cut by the frame": replace(even, cut=1.0),
        "cursive X, O with a tail, a hook or a loop": replace(even, cursive=1.0, tail=1.0),
        "rough and ragged lines": replace(even, rough=1.0),
    }


def side() -> int:
    """The height and width of the network's input, pixels."""
    from engine.documents import shipped_model

    return shipped_model("default").network.input_shape[1]


def print_calibration(votes: HostArray, labels: HostArray) -> None:
    """Print how often drawings with votes of a range are of that class; one that is neither counts as half."""
    import numpy as np

    print("\n| largest vote | drawings | mean vote | right |")
    print("|---|---|---|---|")
    right = np.where(labels < 0, 0.5, votes.argmax(1) == labels)
    for low, high in pairwise((0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.001)):
        these = (votes.max(1) >= low) & (votes.max(1) < high)
        mean = votes.max(1)[these].mean()
        print(f"| {low:g} to {min(high, 1):g} | {these.sum():,} | {mean:.1%} | {right[these].mean():.1%} |")


def generated(settings: XOSettings, fit: bool) -> tuple[HostArray, HostArray]:
    """Votes (N, 2) and labels (N,) for drawings made as `settings` say."""
    import numpy as np

    from engine.data.xo import generate_dataset, generate_drawing

    if not fit:
        made = generate_dataset(settings, COUNT, SEED)
        return read(made.images[:, 0]), made.labels
    rng = np.random.default_rng(SEED)
    labels = rng.choice([0, 1, -1], COUNT, p=[(1 - settings.neither) / 2] * 2 + [settings.neither])
    return read(
        [fitted_picture(generate_drawing(("X", "O", "neither")[label], settings, rng)) for label in labels]
    ), labels


def from_folders(folders: dict[str, str], fit: bool, half: int | None) -> tuple[HostArray, HostArray]:
    """Votes and labels for the pictures in the folders; with `half` only for those whose name's SHA-256 begins with
    an even (0) or an odd (1) byte."""
    import numpy as np

    from engine.drawings import Drawing
    from engine.formats import PICTURE_SUFFIXES, read_picture, to_input

    pictures, labels = [], []
    for letter, folder in folders.items():
        for path in sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES):
            if half is not None and hashlib.sha256(path.name.encode()).digest()[0] % 2 != half:
                continue
            picture = read_picture(path)
            pictures.append(fitted_picture(Drawing(image=picture)) if fit else to_input(picture, side()))
            labels.append("XO".index(letter))
    return read(pictures), np.array(labels)


def fitted_picture(drawing: Drawing) -> HostArray:
    """The drawing, centred and sized to the frame, as input of the network."""
    from engine.drawings import fit_to_frame, render

    return render(fit_to_frame(drawing), side())


def read(pictures: HostArray | Sequence[HostArray]) -> HostArray:
    """Votes (N, 2) of the shipped network."""
    import numpy as np

    from engine.backends import choose_backend
    from engine.data import Dataset
    from engine.documents import shipped_model
    from engine.nn import softmax
    from engine.training import evaluate

    model = shipped_model("default")
    images = np.asarray(pictures, np.float32)[:, None]
    labels = np.full(len(images), -1)
    given = Dataset(images, labels, model.network.classes)
    return softmax(evaluate(model.network, model.parameters, given, choose_backend("cpu")).scores)


def row(name: str, votes: HostArray, labels: HostArray) -> None:
    """Print one line of the table."""
    from engine.documents import shipped_model

    sure, top = votes.max(1) >= shipped_model("default").threshold, votes.argmax(1)
    cells = [f"{(sure & (top == letter))[labels == letter].mean():.1%}" for letter in (0, 1)]
    cells.append(f"{(~sure)[labels < 0].mean():.1%}" if (labels < 0).any() else "")
    cells.append(f"{(sure & (top != labels)).mean():.2%}")
    cells.append(f"{(top == labels)[labels >= 0].mean():.2%}")
    print(f"| {name} | {len(labels):,} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
