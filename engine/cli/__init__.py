"""The command `xo`. Its face is lazy: `xo --version` loads no NumPy."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.cli.train_options import command_arguments

__all__ = ["command_arguments"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from engine.cli import train_options

        return getattr(train_options, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
