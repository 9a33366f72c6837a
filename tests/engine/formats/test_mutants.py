"""Randomly damaged files: each opens or is refused with one sentence, within a second."""

import io
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.data import read_dataset
from engine.documents import (
    WALKTHROUGH,
    InterruptedRun,
    load_checkpoint,
    load_model,
    read_project_summary,
    save_checkpoint,
    save_model,
)
from engine.documents.project_file import load_project
from engine.formats import npz_bytes, read_idx, read_npz, read_picture
from engine.nn import Model
from engine.training import Trainer, TrainingConfig
from tests.conftest import Effort
from tests.engine.data.test_folders import on_disk, zipped
from tests.engine.formats.json_mutants import header_mutants
from tests.engine.formats.mutants import gzip_mutants, mutants, with_png_sums, zip_mutants
from tests.engine.formats.test_idx import idx_bytes
from tests.engine.small_runs import CPU, DATA, SMALL, generated_source

SAVED = Path(__file__).parents[1] / "documents" / "saved_by_0_1"
NOISE = np.random.default_rng(9).integers(0, 256, (24, 20, 3)).astype(np.uint8)
GROWTH_MIB = 256
PYTHON_WORDS = ("codec", "Expected", "Object ", "enum value", "`")

# Format, mode and options of each kind of picture.
PICTURES: list[tuple[str, str, dict[str, Any]]] = [
    ("PNG", "L", {}),
    ("PNG", "P", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "1", {}),
    ("BMP", "L", {}),
    ("BMP", "RGB", {}),
    ("BMP", "1", {}),
    ("JPEG", "RGB", {}),
    ("JPEG", "CMYK", {}),
    ("GIF", "L", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("TIFF", "L", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("PPM", "RGB", {}),
]


def peak_mib() -> float:
    """The peak memory of this process; 0 where it is unknown."""
    if sys.platform != "linux":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def check(
    path: Path,
    damaged: Iterable[bytes],
    read: Callable[[Path], object],
    named: Path | None = None,
    python_words: bool = True,
) -> None:
    """Read each; say which one it was that went wrong, so that it can be looked at.

    named: with what a sentence must begin, by default the file.
    python_words: whether a sentence may have words of the libraries that read the file.
    """
    opened, refused, before = 0, 0, peak_mib()
    for number, data in enumerate(damaged):
        path.write_bytes(data)
        begun = time.process_time()
        try:
            read(path)
            opened += 1
        except ValueError as error:
            refused += 1
            sentence = str(error)
            assert sentence.startswith(str(named or path)), (number, sentence)
            assert sentence.endswith("."), (number, sentence)
            assert "\n" not in sentence, (number, sentence)
            assert python_words or not any(word in sentence for word in PYTHON_WORDS), (number, sentence)
        assert time.process_time() - begun < 1, number
    assert refused > 0
    assert opened + refused > 0
    assert peak_mib() - before < GROWTH_MIB


def finite(path: Path) -> None:
    picture = read_picture(path)
    assert picture.ndim == 2
    assert picture.dtype == np.float32
    assert picture.min() >= -1
    assert picture.max() <= 1


@pytest.mark.parametrize(("kind", "mode", "options"), PICTURES, ids=lambda part: str(part))
def test_pictures(
    tmp_path: Path, effort: Effort, kind: str, mode: str, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    whole = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(whole, kind, **options)
    repair = with_png_sums if kind == "PNG" else bytes
    count = effort(500 if kind in ("PNG", "BMP") else 200, 60_000)
    check(tmp_path / f"a.{kind.lower()}", mutants(whole.getvalue(), count, 11, repair), finite)
    assert capfd.readouterr() == ("", "")


def test_npz(tmp_path: Path, effort: Effort) -> None:
    names = np.array(["X", "O"])
    data = npz_bytes({"images": NOISE[:5, :9, :].copy(), "labels": np.arange(5) % 2, "classes": names})
    check(tmp_path / "a.npz", zip_mutants(data, effort(5_000, 300_000), 12), read_npz)


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path: Path, effort: Effort, packed: bool) -> None:
    """Damages images and labels in turn."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    whole = {images: idx_bytes(NOISE[:5, :9, 0]), labels: idx_bytes(np.arange(5) % 2)}
    damaging = gzip_mutants if packed else mutants
    for path, data in whole.items():
        for other in whole:
            other.write_bytes(whole[other])
        check(path, damaging(data, effort(2_500, 300_000), 14), lambda _: read_idx(images, labels), tmp_path)


def test_folders(tmp_path: Path, effort: Effort) -> None:
    """Damages one picture of an image folder."""
    whole = {"X/a.png": picture_bytes("PNG"), "O/b.bmp": picture_bytes("BMP")}
    folder = on_disk(tmp_path / "set", whole)
    for name, data in whole.items():
        check(folder / name, mutants(data, effort(2_500, 100_000), 15), lambda _: examples(folder), folder)
        (folder / name).write_bytes(data)


def test_archives(tmp_path: Path, effort: Effort) -> None:
    path = zipped(tmp_path / "set.zip", {"X/a.png": picture_bytes("PNG"), "O/b.bmp": picture_bytes("BMP")})
    check(path, zip_mutants(path.read_bytes(), effort(5_000, 300_000), 16), examples)


def picture_bytes(kind: str) -> bytes:
    whole = io.BytesIO()
    Image.fromarray(NOISE[..., 0]).convert("1").save(whole, kind)
    return whole.getvalue()


def examples(path: Path) -> None:
    """Reads a data set and validates the result."""
    found = read_dataset(path, (1, 12, 12))
    assert len(found) >= 2
    assert len(found.classes) >= 2
    assert found.images.shape[1:] == (1, 12, 12)


def test_models(tmp_path: Path, effort: Effort) -> None:
    path = tmp_path / "a.safetensors"
    save_model(path, Model("n", WALKTHROUGH.network, WALKTHROUGH.network.initial_parameters(1), 0.5, {"seed": 1}))
    check(path, mutants(path.read_bytes(), effort(1_000, 300_000), 13), load_model)


def test_checkpoints(tmp_path: Path, effort: Effort) -> None:
    path, config = tmp_path / "a.checkpoint", TrainingConfig(batch=4, epochs=1, examples=8, data=DATA)
    trainer = Trainer(SMALL, generated_source(config), config, CPU)
    next(trainer.run())
    save_checkpoint(path, InterruptedRun("n", SMALL, config, trainer.checkpoint(), ("xo train",)))
    check(path, mutants(path.read_bytes(), effort(1_000, 300_000), 14), load_checkpoint)


def project(path: Path) -> None:
    read_project_summary(path)
    load_project(path)


@pytest.mark.parametrize(
    ("name", "read"),
    [("model.safetensors", load_model), ("run.checkpoint", load_checkpoint), ("project.session", project)],
)
def test_headers_with_values_of_another_kind(
    tmp_path: Path, effort: Effort, name: str, read: Callable[[Path], object]
) -> None:
    """Valid JSON with values of the wrong type, far too large, nested where there was a number, or missing."""
    damaged = header_mutants((SAVED / name).read_bytes(), effort(150, 30_000), 17)
    check(tmp_path / name, damaged, read, python_words=False)
