"""The drawing generator: reproducible, balanced, within its ranges, and the same for drawings and examples."""

import hashlib
import subprocess
import sys
import time
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

from engine.data import Dataset
from engine.data.xo import XOSettings, generate_dataset, generate_drawing
from engine.data.xo.glyphs import AMBIGUOUS_GLYPHS, GLYPHS, OTHER_GLYPHS
from engine.data.xo.letters import back_to_back_arcs, tails
from engine.data.xo.strokes import pen_paths
from engine.drawings import ink_share, pen_coverage, render
from engine.form_fields import form_field_of

PLAIN = XOSettings(
    noise=(0.0, 0.0),
    softness=(1.0, 1.0),
    nib=(0.0, 0.0),
    rough=0.0,
    cursive=0.0,
    tail=0.0,
    ambiguous=0.0,
    neither=0.0,
)
DIGEST = f"from engine.data.xo.generator import {generate_dataset.__name__} as generate"
DIGEST += """
import hashlib
from engine.data.xo.settings import XOSettings
print(hashlib.sha256(generate(XOSettings(), 60, 7).images).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_here_and_in_another_process() -> None:
    one, two = generate_dataset(XOSettings(), 60, 7), generate_dataset(XOSettings(), 60, 7)
    assert one.images.tobytes() == two.images.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    other = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(one.images).hexdigest()


def test_another_seed_gives_other_pictures() -> None:
    assert not np.array_equal(generate_dataset(PLAIN, 10, 0).images, generate_dataset(PLAIN, 10, 1).images)


@pytest.mark.parametrize(("count", "neither", "expected"), [(1000, 0.15, (425, 425, 150)), (7, 0.0, (4, 3, 0))])
def test_x_and_o_are_balanced(count: int, neither: float, expected: tuple[int, ...]) -> None:
    labels = generate_dataset(replace(PLAIN, neither=neither, side=9), count, 3).labels
    assert tuple(int((labels == label).sum()) for label in (0, 1, -1)) == expected
    assert (labels[: count // 2] == 0).any()  # shuffled
    assert (labels[: count // 2] == 1).any()


@pytest.mark.parametrize("side", [4, 9, 16, 32, 64, 116])
def test_every_side_works(side: int) -> None:
    made = generate_dataset(XOSettings(side=side), 40, 5)
    assert made.images.shape == (40, 1, side, side)
    assert made.images.dtype == np.float32
    assert made.images.min() >= -1
    assert made.images.max() <= 1
    shapes = made.take(np.flatnonzero(made.labels >= 0))
    assert all(ink_share(image) > 0.01 for image in shapes.images)


def test_no_examples_are_no_examples() -> None:
    assert generate_dataset(XOSettings(), 0, 0).images.shape == (0, 1, 32, 32)


@pytest.mark.parametrize("kind", ["X", "O"])
@pytest.mark.parametrize("size", [0.3, 0.6, 0.95])
def test_the_ink_is_as_large_as_asked_and_within_the_frame(kind: str, size: float) -> None:
    settings = replace(PLAIN, size=(size, size), cut=0.0, pressure=(0.0, 0.0))
    rng = np.random.default_rng(11)
    for _ in range(25):
        picture = render(generate_drawing(kind, settings, rng), 128)
        inked = [np.flatnonzero(picture.max(axis=axis) > 0) for axis in (0, 1)]
        assert max(np.ptp(side) + 1 for side in inked) / 128 == pytest.approx(size, abs=0.03)
        assert all(side[0] >= 0 and side[-1] <= 127 for side in inked)


@pytest.mark.parametrize("width", [0.03, 0.06, 0.1])
def test_the_pen_is_as_wide_as_asked(width: float) -> None:
    """Area over length, for a circle of one turn."""
    settings = replace(
        PLAIN, pen_width=(width, width), size=(0.9, 0.9), cut=0.0, gap=(0.0, 0.0), drift=(0.0, 0.0), hook=(0.0, 0.0)
    )
    rng = np.random.default_rng(12)
    for _ in range(10):
        made = generate_drawing("O", settings, rng)
        path = made.strokes[0].path()[:, :2]
        length = np.hypot(*np.diff(path, axis=0).T).sum()
        assert ink_share(render(made, 256)) / length == pytest.approx(width, rel=0.06)


def test_pens_differ_over_their_whole_range() -> None:
    rng = np.random.default_rng(13)
    widths = np.concatenate([s.points[:, 2] for _ in range(200) for s in generate_drawing("X", PLAIN, rng).strokes])
    low, high = PLAIN.pen_width
    assert low - 1e-6 <= widths.min() < 0.03
    assert 0.15 < widths.max() <= high + 1e-6


def test_an_x_crosses_near_its_middle_and_an_o_is_hollow() -> None:
    settings = replace(PLAIN, cut=0.0, size=(0.9, 0.9), pen_width=(0.03, 0.1), arms=(0.8, 1.0), aspect=(0.65, 1.55))
    rng = np.random.default_rng(14)
    for _ in range(60):
        for kind, inked in (("X", True), ("O", False)):
            picture = render(generate_drawing(kind, settings, rng), 64)
            rows, columns = np.nonzero(picture > 0)
            y, x = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
            assert (picture[y - 9 : y + 10, x - 9 : x + 10] > 0).any() == inked


def test_an_x_is_never_a_plus() -> None:
    """The bisector of the arms stays near horizontal under any shear."""
    settings = replace(PLAIN, cut=0.0, one_stroke=0.0, hook=(0.0, 0.0), wobble=(0.0, 0.0), bend=(0.0, 0.0))
    settings = replace(settings, shear=(0.5, 0.5), aspect=(0.6, 1.6))
    paths = pen_paths(["X"] * 300, settings, np.random.default_rng(15))
    ends = paths.points[np.stack([np.cumsum(paths.lengths) - 1, np.cumsum(paths.lengths) - paths.lengths]), :2]
    way = ends[0] - ends[1]
    order = np.argsort(paths.image_indices, kind="stable")
    angles = np.degrees(np.arctan2(way[:, 1], way[:, 0]))[order].reshape(-1, 2)
    off = angles.sum(axis=1) / 2
    assert np.abs(off - 90 * np.round(off / 90)).max() < settings.rotation[1] + 1


def test_what_one_picture_bears_does_not_reach_its_neighbours() -> None:
    """An O has any rotation; a rotated plus would be an X."""
    kinds = ["X", "plus", "O"] * 60
    paths = pen_paths(kinds, PLAIN, np.random.default_rng(19))
    first = np.cumsum(paths.lengths) - paths.lengths
    way = paths.points[np.cumsum(paths.lengths) - 1] - paths.points[first]
    angle = np.degrees(np.arctan2(way[:, 1], way[:, 0]))[paths.image_indices % 3 == 1]
    off = np.abs(angle - 90 * np.round(angle / 90))
    assert np.median(off) < 10
    assert off.max() < 30


def test_a_tail_goes_on_from_the_end_of_the_line_and_a_loop_comes_back() -> None:
    end, heading = np.array([[0.5, -0.2]], np.float32), np.array([0.3], np.float32)
    straight = tails(end, heading, np.array([0.8], np.float32), np.zeros(1, np.float32))[0]
    way = straight[-1] - end[0]
    assert np.hypot(*way) == pytest.approx(0.8, abs=0.01)
    assert np.arctan2(way[1], way[0]) == pytest.approx(0.3, abs=0.01)
    loop = tails(end, heading, np.array([0.8], np.float32), np.full(1, 2 * np.pi, np.float32))[0]
    np.testing.assert_allclose(loop[-1], end[0], atol=0.02)
    assert np.ptp(loop[:, 0]) == pytest.approx(0.8 / np.pi, rel=0.1)


def test_a_tail_of_an_o_is_at_its_top() -> None:
    """At the bottom it would be that of a Q."""
    settings = replace(PLAIN, tail=1.0, cut=0.0, size=(0.9, 0.9), hook=(0.0, 0.0), aspect=(0.8, 1.25))
    rng = np.random.default_rng(21)
    for _ in range(60):
        points = generate_drawing("O", settings, rng).strokes[0].points
        middle = (points[:, 1].min() + points[:, 1].max()) / 2
        assert points[0, 1] < middle + 0.15
        assert points[-1, 1] < middle + 0.15


def test_a_cursive_x_of_two_arcs_touches_in_the_middle_and_opens_to_the_sides() -> None:
    width, overlap = np.array([0.6], np.float32), np.array([0.05], np.float32)
    left, right = back_to_back_arcs(width, overlap)[0]
    assert right[:, 0].min() == pytest.approx(-0.05, abs=0.01)
    assert left[:, 0].max() == pytest.approx(0.05, abs=0.01)
    for end in (0, -1):
        assert right[end, 0] == pytest.approx(0.6, abs=1e-5)
        assert left[end, 0] == pytest.approx(-0.6, abs=1e-5)


def test_rough_lines_are_repeated_beside_each_other() -> None:
    settings = replace(PLAIN, cut=0.0, one_stroke=0.0, size=(0.9, 0.9))
    smooth, rough = (
        [
            len(generate_drawing("X", replace(settings, rough=share), np.random.default_rng(seed)).strokes)
            for seed in range(40)
        ]
        for share in (0.0, 1.0)
    )
    assert set(smooth) == {2}
    assert set(rough) == {4, 6, 8}


def test_a_flat_nib_draws_thin_lines_along_its_edge_and_wide_ones_across() -> None:
    settings = replace(PLAIN, side=128, nib=(0.6, 0.6), pressure=(0.0, 0.0), cut=0.0, size=(0.9, 0.9))
    settings = replace(settings, pen_width=(0.02, 0.2), gap=(0.0, 0.0), lumps=(0.0, 0.0), hook=(0.0, 0.0))
    seen = 0
    for seed in range(20):
        widths = generate_drawing("O", settings, np.random.default_rng(seed)).strokes[0].points[:, 2]
        if widths.min() > 0.021 and widths.max() < 0.199:  # within the range of the pens
            seen += 1
            assert widths.min() / widths.max() == pytest.approx(0.4, abs=0.08)
    assert seen


def test_what_is_neither_is_not_so_small_that_it_could_be_a_letter() -> None:
    rng = np.random.default_rng(22)
    settings = replace(PLAIN, side=48, size=(0.125, 0.5))
    for _ in range(20):
        picture = render(generate_drawing("square", settings, rng), 48)
        assert max(np.ptp(np.flatnonzero(picture.max(axis=axis) > -0.5)) + 1 for axis in (0, 1)) >= 9


def test_cut_examples_lose_ink_at_an_edge_but_stay_in_sight() -> None:
    even = replace(PLAIN, aspect=(0.65, 1.55), arms=(0.35, 1.0))
    cut = generate_dataset(replace(even, cut=1.0, size=(0.6, 0.6)), 200, 16).images
    whole = generate_dataset(replace(even, cut=0.0, size=(0.66, 0.66)), 200, 16).images  # cut ones are drawn larger
    assert ink_share(cut) < 0.95 * ink_share(whole)
    assert min(ink_share(image) for image in cut) > 0.01
    edge = np.concatenate([cut[..., [0, -1], :].reshape(200, -1), cut[..., [0, -1]].reshape(200, -1)], axis=1)
    assert 0.3 < (edge.max(axis=1) > 0).mean() < 0.95  # by the frame, and by an edge before it


def test_what_is_neither_is_never_cut() -> None:
    """A part of another shape could look like an X or an O."""
    rng = np.random.default_rng(20)
    for _ in range(30):
        points = generate_drawing("square", replace(PLAIN, cut=1.0), rng).strokes[0].points
        assert points[:, :2].min() > 0
        assert points[:, :2].max() < 1


def test_the_canvas_and_the_examples_are_drawn_by_one_hand() -> None:
    for kind in ("X", "O", "neither"):
        for seed in range(8):
            shown = render(generate_drawing(kind, PLAIN, np.random.default_rng(seed)), 32)
            learnt = 2 * pen_coverage(pen_paths([kind], PLAIN, np.random.default_rng(seed)), 32)[0] - 1
            assert np.abs(shown - learnt).mean() < 0.02


@pytest.mark.parametrize("kind", list(GLYPHS))
def test_every_other_shape_can_be_drawn(kind: str) -> None:
    for seed in range(5):
        share = ink_share(render(generate_drawing(kind, PLAIN, np.random.default_rng(seed)), 64))
        assert share == 0 if kind == "blank" else 0.0003 < share < 0.6


def drawn_names(settings: XOSettings, kinds: list[str], monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each glyph is drawn for pictures of these kinds."""
    counts: Counter[str] = Counter()
    for name, shape in GLYPHS.items():
        spied = lambda rng, name=name, draw=shape.draw: counts.update([name]) or draw(rng)  # noqa: E731
        monkeypatch.setitem(GLYPHS, name, replace(shape, draw=spied))
    pen_paths(kinds, settings, np.random.default_rng(17))
    monkeypatch.undo()
    return counts


def test_neither_draws_all_of_them_and_a_k_most_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A K is what an X is most easily taken for."""
    counts = drawn_names(replace(PLAIN, neither=1.0), ["neither"] * 2_000, monkeypatch)
    assert set(counts) == set(OTHER_GLYPHS)
    assert max(counts, key=counts.__getitem__) == "K"


def test_what_could_be_either_is_labelled_as_the_letter_and_as_neither_equally_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(PLAIN, ambiguous=0.1, neither=0.4)
    as_letter = drawn_names(settings, ["X", "O"] * 3_000, monkeypatch)
    as_neither = drawn_names(settings, ["neither"] * 4_000, monkeypatch)
    for letter in "XO":
        names = AMBIGUOUS_GLYPHS[letter]
        assert set(names) <= set(as_letter)
        labelled, unlabelled = sum(as_letter[name] for name in names), sum(as_neither[name] for name in names)
        assert labelled == pytest.approx(300, rel=0.2)
        assert unlabelled == pytest.approx(labelled, rel=0.25)
    assert set(as_letter) == set(AMBIGUOUS_GLYPHS["X"] | AMBIGUOUS_GLYPHS["O"])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind 'bird'"):
        generate_drawing("bird", PLAIN, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("side", 3),
        ("side", 32.5),
        ("pen_width", (0.2, 0.1)),
        ("pen_width", 0.1),
        ("size", (0.0, 0.5)),
        ("rotation", (-45.0, 45.0)),
        ("gap", (0.0, 200.0)),
        ("noise", (0.0, float("nan"))),
        ("neither", 1.5),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        replace(XOSettings(), **{name: value})


def test_every_setting_changes_the_pictures() -> None:
    before = generate_dataset(XOSettings(cut=0.5, one_stroke=0.5), 80, 18).images
    for setting in fields(XOSettings):
        if setting.name == "side":
            continue
        limits = form_field_of(setting)
        least, most = limits.least, limits.most
        middle = least + 0.4 * (most - least)
        value = (middle, middle) if isinstance(setting.default, tuple) else middle
        after = generate_dataset(
            replace(XOSettings(cut=0.5, one_stroke=0.5), **{setting.name: value}), 80, 18
        ).images
        assert not np.array_equal(before, after), setting.name


def test_speed_is_printed() -> None:
    start = time.perf_counter()
    generate_dataset(XOSettings(), 1000, 0)
    print(f"{1000 / (time.perf_counter() - start):.0f} examples a second at side 32")


# --- the examples themselves


def some_examples() -> Dataset:
    images = np.linspace(-1, 1, 10, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 2, 2), np.float32)
    return Dataset(images, np.arange(10, dtype=np.int64) % 3 - 1, ("X", "O"))


def test_a_split_holds_out_a_share_loses_none_and_is_seeded() -> None:
    made = some_examples()
    train, held_out = made.split(0.3, 1)
    assert (len(train), len(held_out)) == (7, 3)
    both = np.concatenate([train.images, held_out.images])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(both), made.images[:, 0, 0, 0])
    label_of = dict(zip(made.images[:, 0, 0, 0].tolist(), made.labels.tolist(), strict=True))
    assert all(label_of[float(i[0, 0, 0])] == label for i, label in zip(train.images, train.labels, strict=True))
    np.testing.assert_array_equal(made.split(0.3, 1)[1].images, held_out.images)
    assert not np.array_equal(made.split(0.3, 2)[1].images, held_out.images)


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (np.zeros((2, 4, 4), np.float32), np.zeros(2, np.int64), "Images must be"),
        (np.zeros((2, 1, 4, 4)), np.zeros(2, np.int64), "float32"),
        (np.zeros((2, 1, 4, 4), np.float32), np.zeros(3, np.int64), "Labels must be"),
        (np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, np.int32), "int64"),
        (np.full((2, 1, 4, 4), 2, np.float32), np.zeros(2, np.int64), "from -1"),
        (np.zeros((2, 1, 4, 4), np.float32), np.full(2, 2, np.int64), "2 classes"),
    ],
)
def test_wrong_examples_are_refused_in_a_sentence(images, labels, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Dataset(images, labels, ("X", "O"))
