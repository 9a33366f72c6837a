"""The operations as CUDA kernels: arguments, launches, tiling, and the device they run on."""

from engine.backends.cuda.cupy_faults import (
    EXPECTED_REASONS,
    clause,
    driver_reason,
    import_reason,
    prepare_kernel_cache,
    quiet_import,
)
from engine.backends.cuda.device import (
    LONGEST_SUBMISSION,
    Card,
    CupyDevice,
    described_costs,
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
    "EXPECTED_REASONS",
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
    "clause",
    "described_costs",
    "driver_reason",
    "estimate_microseconds",
    "fuse_launches",
    "import_reason",
    "prepare_kernel_cache",
    "quiet_import",
    "ranked_tilings",
    "read_tile_costs",
    "tile_costs_path",
]
