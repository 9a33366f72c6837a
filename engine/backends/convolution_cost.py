"""Cost model: when a convolution in the frequency domain takes fewer multiplications than the direct one."""

from __future__ import annotations

from typing import Final

# How many times fewer multiplications the frequency domain must take: its products are smaller and less efficient.
MIN_SAVING: Final = 2.0
# Smaller kernels leave little to save.
MIN_KERNEL_SIZE: Final = 5
# Bytes of float32 that the spectra of all kernels, and those of the maps of one batch, may take.
MAX_BYTES: Final = 32 * 2**20
# More examples at once gain nothing, fewer make the matrix products too thin.
MAX_BATCH: Final = 32
MIN_BATCH: Final = 8


def is_fourier_faster(padded: tuple[int, ...], out_channels: int, size: int) -> bool:
    """Whether training a convolution at stride 1 takes far fewer multiplications in the frequency domain.

    padded: (C, H, W, N), the shape of the padded input. All three products of a step are counted; the frequency
    domain takes the transforms, and 4 real multiplications for every frequency and pair of channels.
    """
    channels, height, width, batch = padded
    rows, columns = height - size + 1, width - size + 1
    if size < MIN_KERNEL_SIZE or batch < MIN_BATCH:
        return False
    if _bytes(padded, out_channels) > MAX_BYTES or _products(padded, out_channels) > MAX_BYTES:
        return False
    pairs, half = out_channels * channels, width // 2 + 1

    def transform(planes: int, down: int, along: int) -> int:
        return planes * 2 * half * down * (along + 2 * height)

    direct = 3 * pairs * size * size * rows * columns * batch
    transforms = 2 * batch * (transform(channels, height, width) + transform(out_channels, rows, columns))
    transforms += 2 * transform(pairs, size, size)
    return direct > MIN_SAVING * (transforms + 3 * 4 * pairs * height * half * batch)


def preferred_batch(padded: tuple[int, int, int], out_channels: int, size: int) -> int:
    """The preferred batch size, a power of two; 1 where the frequency domain saves nothing.

    padded: (C, H, W), the shape of the padded input.
    """
    count = MAX_BATCH
    while count >= MIN_BATCH and _bytes((*padded, count), out_channels) > MAX_BYTES:
        count //= 2
    return count if is_fourier_faster((*padded, count), out_channels, size) else 1


def _bytes(padded: tuple[int, ...], out_channels: int) -> int:
    channels, height, width, batch = padded
    return 8 * (channels + out_channels) * height * (width // 2 + 1) * batch


def _products(padded: tuple[int, ...], out_channels: int) -> int:
    channels, height, width, _ = padded
    return 16 * channels * out_channels * height * (width // 2 + 1)
