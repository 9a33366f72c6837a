"""Counting: which way of making a convolution takes fewer multiplies. Not the ways themselves."""

from __future__ import annotations

from typing import Final

# How many times fewer multiplies the frequency domain must take: its products are smaller and less quick.
WORTHWHILE: Final = 2.0
# Smaller features leave little to save.
LEAST_SIZE: Final = 5
# Bytes of float32 that the spectra of all features, and those of the maps worked on at once, may take.
MOST_BYTES: Final = 32 * 2**20
# So many examples at once make the products large enough; more gain nothing, fewer leave them too thin.
MOST_TOGETHER: Final = 32
LEAST_TOGETHER: Final = 8


def spectra_pay(padded: tuple[int, ...], features: int, size: int) -> bool:
    """Whether learning with `features` features at stride 1 takes far fewer multiplies in the frequency domain.

    padded: (C, H, W, N), the maps with their margin. All three products of a step are counted; the frequency domain
    takes the transforms, and 4 real multiplies for every frequency and pair of maps.
    """
    channels, height, width, batch = padded
    rows, columns = height - size + 1, width - size + 1
    if size < LEAST_SIZE or batch < LEAST_TOGETHER:
        return False
    if _bytes(padded, features) > MOST_BYTES or _products(padded, features) > MOST_BYTES:
        return False
    pairs, half = features * channels, width // 2 + 1

    def transform(planes: int, down: int, along: int) -> int:
        return planes * 2 * half * down * (along + 2 * height)

    direct = 3 * pairs * size * size * rows * columns * batch
    transforms = 2 * batch * (transform(channels, height, width) + transform(features, rows, columns))
    transforms += 2 * transform(pairs, size, size)
    return direct > WORTHWHILE * (transforms + 3 * 4 * pairs * height * half * batch)


def together(padded: tuple[int, int, int], features: int, size: int) -> int:
    """How many examples are worth working on at once, a power of two: 1 where the frequency domain does not pay.

    padded: (C, H, W), the maps with their margin.
    """
    count = MOST_TOGETHER
    while count >= LEAST_TOGETHER and _bytes((*padded, count), features) > MOST_BYTES:
        count //= 2
    return count if spectra_pay((*padded, count), features, size) else 1


def _bytes(padded: tuple[int, ...], features: int) -> int:
    channels, height, width, batch = padded
    return 8 * (channels + features) * height * (width // 2 + 1) * batch


def _products(padded: tuple[int, ...], features: int) -> int:
    channels, height, width, _ = padded
    return 16 * channels * features * height * (width // 2 + 1)
