"""The operations as CUDA kernels: arguments, launches, tiling, and the device they run on."""

from engine.backends.cuda.device import (
    LONGEST_SUBMISSION,
    Card,
    CupyDevice,
    described_costs,
    first_line,
    fuse_launches,
)
from engine.backends.cuda.launch import CudaDevice, DeviceFault
from engine.backends.cuda.ops import CudaOps
from engine.backends.cuda.tile_costs import (
    ProductShape,
    StoredTileCosts,
    TileCosts,
    TilingConfig,
    cheapest_tiling,
    estimate_microseconds,
    ranked_tilings,
    read_tile_costs,
    tile_costs_path,
)

__all__ = [
    "LONGEST_SUBMISSION",
    "Card",
    "CudaDevice",
    "CudaOps",
    "CupyDevice",
    "DeviceFault",
    "ProductShape",
    "StoredTileCosts",
    "TileCosts",
    "TilingConfig",
    "cheapest_tiling",
    "described_costs",
    "estimate_microseconds",
    "first_line",
    "fuse_launches",
    "ranked_tilings",
    "read_tile_costs",
    "tile_costs_path",
]
