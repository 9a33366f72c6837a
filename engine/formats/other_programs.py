"""Network files of other programs: recognised, so that they are named instead of being called damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.formats.atomic_file import FilePath

_BY_SUFFIX: Final = {
    ".onnx": "ONNX",
    ".ort": "ONNX Runtime",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".ckpt": "PyTorch or TensorFlow",
    ".h5": "Keras (HDF5)",
    ".hdf5": "Keras (HDF5)",
    ".keras": "Keras",
    ".pb": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".gguf": "llama.cpp",
    ".mlmodel": "Core ML",
    ".pkl": "Python (pickle)",
    ".pickle": "Python (pickle)",
    ".joblib": "scikit-learn (joblib)",
}
# (offset, bytes, program)
_BY_CONTENT: Final = (
    (0, b"\x89HDF\r\n\x1a\n", "Keras (HDF5)"),
    (4, b"TFL3", "TensorFlow Lite"),
    (0, b"GGUF", "llama.cpp"),
    (0, b"\x80\x02", "Python (pickle)"),
    (0, b"\x80\x03", "Python (pickle)"),
    (0, b"\x80\x04", "Python (pickle)"),
    (0, b"\x80\x05", "Python (pickle)"),
)
_ZIP: Final = b"PK\x03\x04"
_BYTES_NEEDED: Final = 256


def other_program(path: FilePath, start: bytes) -> str:
    """The program whose network a file holds, by its first bytes, else by its suffix; "" if it is none."""
    for offset, magic, name in _BY_CONTENT:
        if start.startswith(magic, offset):
            return name
    if start.startswith(_ZIP) and b"data.pkl" in start[:_BYTES_NEEDED]:
        return "PyTorch"
    # The header of a safetensors file, which a suffix of another program does not make another program's.
    if start[8:9] == b"{":
        return ""
    return _BY_SUFFIX.get(Path(path).suffix.lower(), "")


def first_bytes(path: FilePath) -> bytes:
    """What `other_program` needs of a file; b"" unless it is an ordinary file that can be read."""
    if not Path(path).is_file():
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(_BYTES_NEEDED)
    except OSError:  # reading it as what it is says why
        return b""
