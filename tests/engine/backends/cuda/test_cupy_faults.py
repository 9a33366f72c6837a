"""A GPU that cannot be used is explained in one true sentence, without banners; what can be mended is mended."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backends import Backend, DeviceUnavailable, choose_backend, replay
from engine.backends.cuda import DeviceFault, cupy_faults
from engine.backends.cuda.cupy_faults import summary
from engine.cli import train_output
from engine.cli.main import main
from engine.documents import WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.nn import Model
from engine.runtime import Request, Runner
from tests.engine import fake_cupy
from tests.engine.backends.cuda.cpu_device import needs_compiler

ROOT = Path(__file__).parents[4]
# As CuPy 14.2 raises and words them.
BANNER = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), make sure that the package matches with the
version of CUDA or ROCm installed.

Original error:
  ImportError: {cause}
================================================================
"""
NO_HEADERS = RuntimeError(
    "Failed to find CUDA headers. Please install CUDA toolkit headers (e.g., pip install cupy-cuda12x[ctk]) or "
    "specify CUDA_PATH environment variable."
)
NOT_IN_LIBRARY = AssertionError(
    "\n*** The requested function could not be found in the library.\n***\n*** This is likely a bug in CuPy. "
    "Please report this issue to:\n***   https://github.com/cupy/cupy/issues\n"
)
LOG = fake_cupy.CompileException(
    "\n".join([f"softmax.cuh({line}): warning #177-D: variable was declared" for line in range(80)])
    + '\nactivations.cuh(12): error: identifier "tanhf" is undefined\n1 error detected in the compilation.\n'
)


class DynamicLibNotFoundError(RuntimeError):
    """As cuda.pathfinder.DynamicLibNotFoundError."""


NO_NVRTC = DynamicLibNotFoundError(
    'Failure finding "libnvrtc.so.12": No such file: libnvrtc.so.12*' + "\n/usr" * 90
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A cache folder of its own, and CuPy's variables as before."""
    for name in ("CUPY_CACHE_DIR", "CUPY_CACHE_IN_MEMORY", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cupy_faults.prepare_kernel_cache.cache_clear()
    yield
    cupy_faults.prepare_kernel_cache.cache_clear()


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake_cupy.fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def import_raises(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let `import cupy` raise this error."""

    class Broken:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "cupy":
                raise error

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])


def banner(cause: str) -> ImportError:
    error = ImportError(BANNER.format(cause=cause))
    error.__cause__ = ImportError(cause)
    return error


# -- importing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (banner("libcuda.so.1: cannot open shared object file: No such file"), "no NVIDIA driver is installed"),
        (
            banner("libcudart.so.12: cannot open shared object file: No such file or directory"),
            "CuPy cannot be loaded: libcudart.so.12: cannot open shared object file: No such file or directory",
        ),
        (AttributeError("_ARRAY_API not found"), "CuPy cannot be loaded: _ARRAY_API not found"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/root/.cupy"),
            "CuPy cannot be loaded: /root/.cupy cannot be used: permission denied",
        ),
        (NOT_IN_LIBRARY, "CuPy cannot be loaded: The requested function could not be found in the library"),
    ],
)
def test_a_cupy_that_cannot_be_imported_is_explained_without_its_banner(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_raises(monkeypatch, error)
    backend = choose_backend("auto")
    assert (backend.name, backend.reason) == ("cpu", reason)
    expected = (
        "" if reason.startswith("no ") else f"The GPU cannot be used: {reason}; the processor computes instead."
    )
    assert backend.notice == expected


def test_several_cupy_packages_are_the_reason_if_it_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("cupy-cuda11x", "cupy-cuda12x"):
        folder = tmp_path / f"{name.replace('-', '_')}-14.2.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 14.2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_raises(monkeypatch, banner("undefined symbol: _Z3foo"))
    assert choose_backend("auto").reason == (
        "several CuPy packages are installed (cupy-cuda11x, cupy-cuda12x); uninstall all and install one again"
    )


@needs_compiler
def test_what_cupy_warns_of_and_prints_goes_to_the_log(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cupy.py").write_text(
        "import sys, warnings\nfrom tests.engine.fake_cupy import fake_cupy\n"
        "warnings.warn('CuPy may not function correctly because multiple CuPy packages are installed')\n"
        "sys.stderr.write('A module that was compiled using NumPy 1.x cannot be run in NumPy 2\\n' * 9)\n"
        "sys.modules['cupy'] = fake_cupy()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    caplog.set_level(logging.INFO, "engine.backends")
    assert choose_backend("auto").name == "gpu"
    del sys.modules["cupy"]
    assert "multiple CuPy packages" in caplog.text
    assert "NumPy 1.x" in caplog.text
    assert capsys.readouterr() == ("", "")


# -- the driver ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "version", "reason"),
    [
        (35, 11040, "CUDA driver 11.4 is older than CuPy needs (12.x)"),
        (35, 0, "no NVIDIA driver is installed"),
        (100, 12040, "no NVIDIA GPU was found"),
        (803, 12040, "the NVIDIA driver was updated while it was in use; restart the computer"),
        (999, 12040, "cudaErrorUnknown: unknown error"),
    ],
)
def test_the_driver_is_named_if_it_is_the_reason(status: int, version: int, reason: str, cupy: Any) -> None:
    def count() -> int:
        raise fake_cupy.CUDARuntimeError(status, "cudaErrorUnknown: unknown error")

    cupy.cuda.runtime.getDeviceCount, cupy.cuda.runtime.driverGetVersion = count, lambda: version
    with pytest.raises(DeviceUnavailable) as error:
        choose_backend("gpu")
    assert str(error.value) == reason


def test_hidden_gpus_are_named_as_hidden(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert choose_backend("auto").reason == "CUDA_VISIBLE_DEVICES=-1 hides every NVIDIA GPU"


# -- the compiler --------------------------------------------------------------------------------------------------

COMPILE_FAULTS: list[tuple[Exception, str]] = [
    (LOG, 'activations.cuh(12): error: identifier "tanhf" is undefined'),
    (
        fake_cupy.CompileException("nvrtc: error: invalid value for --gpu-architecture (-arch)\n"),
        "NVRTC 12.9 does not know compute capability 8.6",
    ),
    (NO_HEADERS, "the header files of CUDA are missing, which cupy-cuda12x[ctk] installs"),
    (NO_NVRTC, "a library of CUDA is missing, which cupy-cuda12x[ctk] installs: Failure finding"),
    (fake_cupy.NVRTCError("NVRTC_ERROR_OUT_OF_MEMORY (1)"), "NVRTC_ERROR_OUT_OF_MEMORY (1)"),
    (NOT_IN_LIBRARY, "The requested function could not be found in the library"),
]


@needs_compiler
@pytest.mark.parametrize(("fault", "words"), COMPILE_FAULTS, ids=range(len(COMPILE_FAULTS)))
def test_a_kernel_that_cannot_be_compiled_is_one_sentence_and_its_log_is_in_the_log(
    fault: Exception, words: str, cupy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the first kernel, where the processor is chosen, and of a later one, where computing goes on there."""
    caplog.set_level(logging.INFO, "engine.backends")
    backend = choose_backend("gpu")
    cupy.gpu.compile_faults |= {"elementwise": fault, "matmul": fault}
    ops = backend.operations
    array = ops.from_host(np.ones(3, np.float32))
    with pytest.raises(DeviceFault) as error:
        replay(ops.add(array, array, array))
    assert not error.value.out_of_memory
    sentence = str(error.value)
    assert sentence.startswith(f"The kernel elementwise cannot be compiled: {words}")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 320
    assert str(fault).strip().splitlines()[-1] in caplog.text
    assert choose_backend("auto").reason.startswith(f"the kernel matmul cannot be compiled: {words}")


def doubled(backend: Backend) -> list[float]:
    ops = backend.operations
    array = ops.from_host(np.ones(2, np.float32))
    replay(ops.add(array, array, array))
    return list(ops.to_host(array))


@needs_compiler
def test_a_gpu_that_the_compiler_does_not_know_gets_ptx(cupy: Any) -> None:
    cupy.gpu.capability = "130"
    backend = choose_backend("gpu")
    assert doubled(backend) == [2, 2]
    assert cupy.gpu.compiled == [("matmul", "cubin"), ("matmul", "ptx"), ("elementwise", "ptx")]


@needs_compiler
def test_a_driver_too_old_for_ptx_is_named(cupy: Any) -> None:
    words = "CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain."
    cupy.gpu.compile_faults["matmul"] = fake_cupy.CUDADriverError(222, words)
    reason = choose_backend("auto").reason
    assert reason == "the GPU failed: CUDA driver 12.4 is too old to translate the kernels; update it"


# -- the folder of compiled kernels --------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_fills_while_kernels_are_compiled_costs_nothing_but_the_cache(number: int, cupy: Any) -> None:
    backend = choose_backend("gpu")
    cupy.gpu.cache_fault = OSError(number, os.strerror(number), "/full/kernels/a.cubin")
    assert doubled(backend) == [2, 2]
    assert os.environ["CUPY_CACHE_IN_MEMORY"] == "1"


@pytest.fixture
def installed_cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A CuPy that can be found, and was not imported yet."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "cupy.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "cupy", raising=False)


def test_without_cupy_no_folder_is_made_for_its_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(cupy_faults, "find_spec", lambda name: None)
    assert cupy_faults.prepare_kernel_cache() == ""
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("installed_cupy")
def test_compiled_kernels_have_a_folder_in_the_users_cache(tmp_path: Path) -> None:
    assert cupy_faults.prepare_kernel_cache() == ""
    folder = Path(os.environ["CUPY_CACHE_DIR"])
    assert folder == tmp_path / "cache" / "xo-gui" / "kernels"
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("installed_cupy")
@pytest.mark.parametrize("spoil", ["a file", "read-only"])
def test_without_a_folder_that_can_be_written_kernels_are_kept_in_memory(
    spoil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CuPy itself could not be imported then."""
    if spoil == "a file":
        (tmp_path / "cache").write_text("")
    else:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "cache"))

        monkeypatch.setattr(Path, "mkdir", refuse)
    reason = cupy_faults.prepare_kernel_cache()
    assert reason.startswith(f"compiled kernels are not kept, as {tmp_path / 'cache'}")
    assert os.environ["CUPY_CACHE_IN_MEMORY"] == "1"
    assert Path(os.environ["CUPY_CACHE_DIR"]).is_dir()


@pytest.mark.usefixtures("installed_cupy")
def test_a_folder_that_the_user_chose_for_kernels_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "mine"))
    assert cupy_faults.prepare_kernel_cache() == ""
    assert os.environ["CUPY_CACHE_DIR"] == str(tmp_path / "mine")


# -- what is printed -----------------------------------------------------------------------------------------------

LOST = """
import sys
from tests.engine.fake_cupy import LAUNCH_FAILURE, fake_cupy
sys.modules["cupy"] = fake_cupy()
from engine.backends import choose_backend
backend = choose_backend("gpu")
kept = [backend.operations.zeros((4,), "float32") for _ in range(3)]
sys.modules["cupy"].gpu.lost = True
del kept[0]
print("done")
"""


@needs_compiler
def test_after_a_lost_gpu_nothing_is_printed_by_finalizers() -> None:
    command = [sys.executable, "-c", LOST]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_the_window_says_once_why_the_gpu_is_not_used(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the device that computes, or if the GPU was asked for, as a notice."""
    import_raises(monkeypatch, banner("libcudart.so.12: cannot open shared object file"))
    reason = "CuPy cannot be loaded: libcudart.so.12: cannot open shared object file"
    model = Model("Walk-through", WALKTHROUGH.network, handmade_parameters())
    snapshot = Runner(device).compute(Request(1, Document.blank(model)))
    said = [notice.text for notice in snapshot.notices]
    if device == "auto":
        assert (snapshot.device.reason, said) == (reason, [])
    else:
        sentence = f"The GPU cannot be used: {reason}; the processor computes instead."
        assert (snapshot.device.reason, said) == ("the GPU cannot be used", [sentence])


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_the_command_line_says_one_sentence_and_no_banner(
    device: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import_raises(monkeypatch, banner("libcudart.so.12: cannot open shared object file"))
    code = main(["classify", "--data", "xo", "--examples", "2", "--device", device])
    out, err = capfd.readouterr()
    reason = "The GPU cannot be used: CuPy cannot be loaded: libcudart.so.12: cannot open shared object file"
    if device == "auto":
        assert (code, err) == (0, f"xo: {reason}; the processor computes instead.\n")
        assert "accuracy" in out
    else:
        assert (code, out, err) == (1, "", f"xo: {reason}; leave --device out, or use --device cpu.\n")


@needs_compiler
@pytest.mark.parametrize("command", ["classify", "trace", "train"])
def test_a_gpu_that_fails_during_a_command_is_replaced_by_the_processor(
    command: str, cupy: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same output, and one sentence beside it."""
    monkeypatch.chdir(tmp_path)
    given = {
        "classify": ["--data", "xo", "--examples", "3", "--json"],
        "trace": [str(ROOT / "assets" / "samples" / "x.png"), "--out", "trace.npz"],
        "train": ["--data", "xo:side=12", "--examples", "200", "--steps", "1", "--out", "trained.safetensors"],
    }[command]
    outs = []
    for device in ("cpu", "auto"):
        cupy.gpu.compile_faults["elementwise"] = fake_cupy.CompileException(str(LOG))
        assert main([command, *given, "--device", device]) == 0
        cupy.gpu.compile_faults.clear()  # an error holds the frames that it passed through
        out, err = capfd.readouterr()
        outs.append(out)
    if command != "train":  # which prints times
        assert outs[0] == outs[1]
    assert [line for line in err.splitlines() if line.startswith("xo:")] == [
        'xo: The kernel elementwise cannot be compiled: activations.cuh(12): error: identifier "tanhf" is '
        "undefined. The processor computes from now on."
    ]


@needs_compiler
def test_a_gpu_that_is_lost_while_xo_train_evaluates_is_replaced_by_the_processor(
    cupy: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose predictions and file are written all the same."""
    evaluate = train_output.evaluate

    def losing(*given: Any) -> Any:
        cupy.gpu.lost = given[-1].name == "gpu"
        return evaluate(*given)

    monkeypatch.setattr(train_output, "evaluate", losing)
    out = tmp_path / "trained.safetensors"
    assert main(["train", "--data", "xo:side=12", "--examples", "200", "--steps", "1", "--out", str(out)]) == 0
    assert out.exists()
    fault = "xo: The GPU failed: cudaErrorLaunchFailure: unspecified launch failure."
    lost = f"{fault} The processor computes from now on."
    assert [line for line in capfd.readouterr().err.splitlines() if line.startswith("xo:")] == [lost]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cudaErrorX: a fault.", "cudaErrorX: a fault"),
        ("\n=====\nFirst line.\nSecond line.\n=====\n", "First line"),
        ("one two " * 100, "one two " * 19 + "one two…"),
        ("", ""),
    ],
)
def test_a_long_error_is_summed_up(text: str, expected: str) -> None:
    assert summary(text) == expected
