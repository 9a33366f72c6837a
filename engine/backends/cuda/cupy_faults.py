"""What fails around CuPy, in words for the user: its import, the driver, the compiler and the folder of kernels.

The errors and their texts are those of CuPy 14 (cupy/cuda/compiler.py, cupy_backends/cuda).
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from engine.backends.cuda.launch import SOURCE_FOLDER, DeviceFault

log = logging.getLogger(__name__)

# Numbers of errors, the same in CUDA's runtime (cudaError_t) and in its driver library (CUresult).
OUT_OF_MEMORY, INSUFFICIENT_DRIVER, NO_DEVICE, NO_BINARY_FOR_GPU, UNSUPPORTED_PTX = 2, 35, 100, 209, 222
SYSTEM_DRIVER_MISMATCH = 803
LONGEST = 160
IN_MEMORY, FOLDER = "CUPY_CACHE_IN_MEMORY", "CUPY_CACHE_DIR"
NO_CUPY, NO_DRIVER, NO_GPU = "CuPy not installed", "no NVIDIA driver is installed", "no NVIDIA GPU was found"
# On most machines.
EXPECTED_REASONS = (NO_CUPY, NO_DRIVER, NO_GPU)


def summary(text: str) -> str:
    """The first sentence of an error message, without the frame of a banner, a full stop, and what is too long."""
    lines = [line.strip().removeprefix("***").strip() for line in text.strip().splitlines()]
    said = [line for line in lines if line.strip("=-*#~ ")]
    # A compiler's log begins with warnings and notes.
    faults = [line for line in said if "error: " in line]
    words = faults[0] if faults else " ".join(said)
    first = words.partition(". ")[0].rstrip(".")
    return first if len(first) <= LONGEST else f"{first[:LONGEST].rpartition(' ')[0]}…"


def error_text(error: BaseException) -> str:
    """What an error says, as a clause."""
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[:1].lower() + error.strerror[1:]
        return f"{os.fsdecode(error.filename)} cannot be used: {reason}" if error.filename else reason
    return summary(str(error)) or type(error).__name__


def clause(fault: BaseException) -> str:
    """The first sentence of a DeviceFault, as a clause."""
    text = error_text(fault)
    return text[:1].lower() + text[1:] if text.startswith("The ") else text


@contextmanager
def quiet_import() -> Iterator[None]:
    """Log what CuPy warns of and prints while it is imported, such as of several packages or of a NumPy that it was
    not compiled for, in place of its banners."""
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, redirect_stderr(printed):
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for text in (*(str(warning.message) for warning in caught), printed.getvalue()):
                if text.strip():
                    log.info("CuPy: %s", text)


def import_reason(error: BaseException) -> str:
    """Why CuPy cannot be imported, as a clause."""
    if getattr(error, "name", None) == "cupy":
        return NO_CUPY
    # CuPy wraps the error in a banner.
    text = error_text(error.__cause__ or error)
    if "libcuda.so" in text or "nvcuda.dll" in text:
        return NO_DRIVER
    several = _cupy_packages()
    if len(several) > 1:
        return f"several CuPy packages are installed ({', '.join(several)}); uninstall all and install one again"
    return f"CuPy cannot be loaded: {text}"


def _cupy_packages() -> list[str]:
    """The installed distributions that contain CuPy; they overwrite one another's files."""
    names = {str(each.metadata["Name"]) for each in metadata.distributions(path=sys.path)}
    return sorted(name for name in names if name == "cupy" or name.startswith(("cupy-cuda", "cupy-rocm")))


def driver_reason(cupy: Any) -> str:
    """Why the driver offers no GPU to CuPy, as a clause; "" if it does."""
    runtime = cupy.cuda.runtime
    try:
        if runtime.getDeviceCount() > 0:
            return ""
    except runtime.CUDARuntimeError as error:
        if error.status == INSUFFICIENT_DRIVER:
            needed, found = cupy.cuda.driver.get_build_version() // 1000, driver_version(cupy)
            return f"CUDA driver {found} is older than CuPy needs ({needed}.x)" if found else NO_DRIVER
        if error.status == SYSTEM_DRIVER_MISMATCH:
            return "the NVIDIA driver was updated while it was in use; restart the computer"
        if error.status != NO_DEVICE:
            return error_text(error)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return NO_GPU if hidden is None else f"CUDA_VISIBLE_DEVICES={hidden} hides every NVIDIA GPU"


def driver_version(cupy: Any) -> str:
    """The newest CUDA version that the driver knows, such as "12.4"; "" without a driver."""
    version = int(cupy.cuda.runtime.driverGetVersion())
    return f"{version // 1000}.{version % 1000 // 10}" if version else ""


@cache
def prepare_kernel_cache() -> str:
    """Choose where CuPy keeps compiled kernels; returns "" or a clause that says why it keeps none.

    CuPy reads the folder when it is imported, and cannot be imported where the folder cannot be made.
    """
    if "cupy" in sys.modules or find_spec("cupy") is None:
        return ""
    chosen = os.environ.get(FOLDER)
    folder = Path(chosen) if chosen else user_cache_path("xo-gui", appauthor=False) / "kernels"
    try:
        if not folder.is_absolute():
            folder = folder.resolve(strict=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        # Any folder that exists does for a CuPy that keeps its kernels in memory.
        os.environ |= {IN_MEMORY: "1", FOLDER: str(SOURCE_FOLDER)}
        return f"compiled kernels are not kept, as {error_text(error)}"
    os.environ[FOLDER] = str(folder)
    return ""


def compiled_kernel(cupy: Any, module: Any, name: str) -> Any:
    """The kernel of a RawModule, compiled and loaded at once, which a capture would not allow.

    Without a folder that can be written it is kept in memory; for a GPU that the compiler does not know it is
    compiled to PTX, which the driver translates. Raises DeviceFault, and errors of CUDA.
    """
    while True:
        try:
            kernel = module.get_function(name)
            _ = kernel.num_regs
        # CuPy raises errors of many types here, from CompileException to AssertionError.
        except Exception as error:
            if _keeps_in_memory_after(error) or _makes_ptx_after(cupy, error):
                continue
            if isinstance(error, cuda_errors(cupy)):
                raise
            log.info("the kernel %s cannot be compiled", name, exc_info=True)
            raise DeviceFault(
                f"The kernel {name} cannot be compiled: {_compile_reason(cupy, error)}.", False
            ) from error
        return kernel


def _keeps_in_memory_after(error: Exception) -> bool:
    """Let CuPy keep its kernels in memory if its folder or the temporary one cannot be used any longer."""
    if not isinstance(error, OSError) or os.environ.get(IN_MEMORY) == "1":
        return False
    os.environ[IN_MEMORY] = "1"
    log.info("compiled kernels are not kept any longer", exc_info=error)
    return True


def _makes_ptx_after(cupy: Any, error: Exception) -> bool:
    """Let CuPy compile to PTX if the GPU cannot run the machine code of the newest one that the compiler knows."""
    compiler = cupy.cuda.compiler
    if getattr(error, "status", None) != NO_BINARY_FOR_GPU or compiler._use_ptx:
        return False
    # What CUPY_COMPILE_WITH_PTX=1 sets, but that is read at the import.
    compiler._use_ptx = True
    cupy.clear_memo()
    log.info("kernels are compiled to PTX, as CuPy's compiler does not know this GPU")
    return True


def _compile_reason(cupy: Any, error: Exception) -> str:
    text = error_text(error)
    if "--gpu-architecture" in text:
        capability = str(cupy.cuda.Device().compute_capability)
        compiler = ".".join(str(number) for number in cupy.cuda.nvrtc.getVersion())
        return f"NVRTC {compiler} does not know compute capability {capability[:-1]}.{capability[-1]}"
    if type(error).__name__ == "DynamicLibNotFoundError" or "CuPy failed to load" in text:
        return f"a library of CUDA is missing, which cupy-cuda12x[ctk] installs: {text}"
    if "Failed to find CUDA headers" in text:
        return "the header files of CUDA are missing, which cupy-cuda12x[ctk] installs"
    return text


def cuda_errors(cupy: Any) -> tuple[type[Exception], ...]:
    """The errors of CUDA itself."""
    cuda = cupy.cuda
    return cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError, cuda.memory.OutOfMemoryError


def cuda_reason(cupy: Any, error: BaseException) -> str:
    """What an error of CUDA says, as a clause."""
    if getattr(error, "status", None) == UNSUPPORTED_PTX:
        return f"CUDA driver {driver_version(cupy)} is too old to translate the kernels; update it"
    return error_text(error)


def drop_errors_of_finalizers(kinds: tuple[type[BaseException], ...]) -> None:
    """Print no "Exception ignored" for CUDA errors in finalizers: of a lost GPU nothing can be freed, and each call
    that matters reports the loss."""
    earlier = sys.unraisablehook
    if getattr(earlier, "drops", None) == kinds:
        return

    def hook(fault: Any) -> None:
        if not isinstance(fault.exc_value, kinds):
            earlier(fault)

    hook.drops = kinds  # type: ignore[attr-defined]
    sys.unraisablehook = hook
