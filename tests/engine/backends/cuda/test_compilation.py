"""Every kernel compiles with NVRTC for every supported architecture."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.backends import Calls
from engine.backends.cuda import fuse_launches
from engine.backends.cuda.device import launches
from engine.backends.cuda.launch import SOURCE_FOLDER, ElementwiseLaunch, kernel_source
from engine.backends.cuda.tile_costs import DEPTHS, SHARED_BYTES, TILES, TilingConfig
from engine.bench.cases import LAYER_CASES, network_around
from engine.documents import DEFAULT, PRESETS
from engine.training import SGD, AdamW, TrainingConfig
from tests.engine.backends.cuda.cpu_device import CpuDevice
from tests.engine.backends.cuda.cpu_kernels import MIXED, all_calls, kernel_backend, learning_plan, step_calls
from tests.engine.backends.cuda.nvrtc import compile_for, needs_nvrtc
from tests.engine.backends.cuda.test_tiling import BATCH, LONG, always

pytestmark = needs_nvrtc

# From Turing to Blackwell.
ARCHITECTURES = (75, 80, 86, 89, 90, 120)
UNLIKE = (75, 90, 120)

# A training configuration with the options that the default one lacks.
OTHER = TrainingConfig(SGD(nesterov=True), l2=0.1, clip=1)

# The name of a kernel, its #define lines, and compiler options.
Text = tuple[str, str, tuple[str, ...]]


def texts(calls: Calls) -> set[Text]:
    return {(launch.kernel, launch.defines, launch.options) for launch in launches(calls)}


def calls_of_all_cases() -> Calls:
    """Calls of every layer, and of a mixed network in float64."""
    kernels = kernel_backend(CpuDevice(132))
    plans = [learning_plan(network_around(*case), kernels, 3) for case in LAYER_CASES]
    plans.append(learning_plan(MIXED, kernels, 3, dtype=np.float64))
    return [call for plan in plans for call in all_calls(plan)]


def compile_all(wanted: set[Text], architecture: int) -> dict[Text, str]:
    """The compiler log of each kernel. Raises AssertionError with the log of the first that fails."""
    jobs = sorted(wanted)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        logs = pool.map(lambda text: compile_for(architecture, kernel_source(*text[:2]), text[2]), jobs)
        return dict(zip(jobs, logs, strict=True))


def rest_of(calls: Calls, known: set[Text]) -> set[Text]:
    """Sources for what these calls use and the known ones do not: one for each file, and one with all missing
    device functions."""
    found = launches(calls)
    files = {launch.kernel: launch for launch in found if launch.kernel not in {kernel for kernel, _, _ in known}}
    functions = {
        each.name.partition("<")[0]: each
        for launch in found
        if isinstance(launch, ElementwiseLaunch)
        for segment in launch.segments
        for each in segment
    }
    present = {name for _, glue, _ in known for name in re.findall(r"(\w+)(?:<[^>]*>)?\(i,", glue)}
    missing = {name: each for name, each in functions.items() if name not in present}
    together = ElementwiseLaunch(found[0].kernels, tuple((function,) for _, function in sorted(missing.items())))
    return texts([(launch, (), {}) for launch in (*files.values(), together)])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles_for_every_architecture(architecture: int) -> None:
    """On architectures that allocate registers differently, all of the default network's training, without register
    spills."""
    default = texts(fuse_launches(step_calls(DEFAULT.network, TrainingConfig(AdamW()))))
    if architecture not in UNLIKE:
        default = set({text[0]: text for text in sorted(default) if text[0] != "elementwise"}.values())
    wanted = default | rest_of(calls_of_all_cases() + step_calls(DEFAULT.network, OTHER), default)
    assert {kernel for kernel, _, _ in wanted} == {path.stem for path in SOURCE_FOLDER.glob("*.cu")}
    logs = compile_all(wanted, architecture)
    for text in default:
        spills = re.findall(r"(\d+) bytes spill", logs[text])
        assert spills, logs[text]
        assert set(spills) == {"0"}, (text, logs[text])


def test_every_layer_compiles_with_all_its_options() -> None:
    """To PTX, which all architectures share."""
    jobs = sorted(texts(calls_of_all_cases()))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda text: compile_for(90, kernel_source(*text[:2]), text[2], virtual=True), jobs))


def test_every_preset_and_optimizer_compiles_fused() -> None:
    kernels = kernel_backend(CpuDevice(132))
    plans = [learning_plan(preset.network, kernels, 64) for preset in PRESETS.values()]
    calls = [call for plan in plans for call in fuse_launches(all_calls(plan))]
    compile_all(texts(calls + fuse_launches(step_calls(DEFAULT.network, OTHER))), 90)


def test_the_largest_tiles_compile_without_spilling_a_register() -> None:
    """With the largest depth that fits into shared memory."""
    wanted: set[Text] = set()
    for tile in TILES:
        if tile.thread_rows * tile.thread_columns < 64:
            continue
        depth = max(d for d in DEPTHS if TilingConfig(tile, 1, 1, d).shared_bytes(4) <= SHARED_BYTES)
        kernels = kernel_backend(CpuDevice(132), choose_tiling=always(tile, 1, 1, depth))
        wanted |= texts(all_calls(learning_plan(LONG, kernels, BATCH)))
    for text, log in compile_all(wanted, 90).items():
        assert set(re.findall(r"(\d+) bytes spill", log)) == {"0"}, (text, log)


def test_kernels_include_no_header_so_that_they_need_no_folder_of_them() -> None:
    for path in SOURCE_FOLDER.iterdir():
        assert "#include" not in path.read_text("utf-8"), path


def test_compiler_errors_give_file_and_line() -> None:
    broken = kernel_source("matmul", "#define EPILOGUE_PARAMETERS\n#define EPILOGUE(i, computed, cell) oops;")
    options = (
        "-DREAL=float",
        "-DDEPTH=16",
        "-DTILE_M=8",
        "-DTILE_N=32",
        "-DTHREAD_M=2",
        "-DTHREAD_N=2",
        "-DGROUPS=1",
    )
    options += ("-DLEFT_VECTOR=1", "-DRIGHT_VECTOR=1")
    with pytest.raises(AssertionError, match=r'matmul\.cu\(\d+\): error: identifier "oops" is undefined'):
        compile_for(90, broken, (*options, "-DLEFT_INNER_CONTIGUOUS=1", "-DRIGHT_INNER_CONTIGUOUS=1"))
