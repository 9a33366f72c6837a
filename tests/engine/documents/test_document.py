"""Document and Model: validation and copies."""

from __future__ import annotations

import numpy as np
import pytest

from engine.documents import DEFAULT, WALKTHROUGH, Document, check_input
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten, ShapeError
from tests.samples import drawing_sample

SUBJECT = Model("Walk-through", WALKTHROUGH.network, handmade_parameters())


def test_a_subject_needs_parameters_of_its_own_network() -> None:
    with pytest.raises(ShapeError, match=r"conv2d-1\.weight"):
        Model("Mixed up", DEFAULT.network, handmade_parameters())
    spoilt = handmade_parameters() | {"conv2d-1.bias": np.full(3, np.inf, np.float32)}
    with pytest.raises(ValueError, match="not finite"):
        Model("Spoilt", WALKTHROUGH.network, spoilt)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 9)])
def test_a_network_that_reads_no_square_map_cannot_read_a_drawing(shape: tuple[int, int, int]) -> None:
    network = Network(shape, (Flatten(), Dense(2)), classes=("X", "O"))
    odd = Model("Odd", network, network.initial_parameters(1))
    refused = pytest.raises(ShapeError, match=r"^Odd reads .*; choose a network with a 1 × n × n input\.$")
    with refused:
        check_input(odd)
    with refused:
        Document.blank(odd).encoded(odd)


@pytest.mark.parametrize("count", [0, 3])
def test_a_document_holds_one_or_two_subjects(count: int) -> None:
    with pytest.raises(ValueError, match=f"one or two networks, not {count}"):
        Document(drawing_sample(Drawing()), (SUBJECT,) * count)


def test_another_drawing_leaves_the_rest_of_the_document() -> None:
    document, drawing = Document(drawing_sample(Drawing()), (SUBJECT, SUBJECT), fit_to_frame=True), Drawing()
    altered = document.with_source(drawing)
    assert altered.input.source is drawing
    assert (altered.models, altered.fit_to_frame) == (document.models, True)
    assert document.input.source is not drawing
