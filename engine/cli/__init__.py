"""The command `xo`. Its face is lazy: `xo --version` loads no NumPy."""

import os
import signal
from typing import Any

__all__ = ["command_arguments", "exit_at_once_on_interrupt", "start"]

INTERRUPTED = 130


def exit_at_once_on_interrupt() -> None:
    """Ctrl+C ends the process without a traceback, as long as there is nothing to lose; unless it is ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def start() -> int:
    """Run `xo` with the arguments of this process; returns the exit code."""
    exit_at_once_on_interrupt()
    from engine.cli.main import main

    return main()


def __getattr__(name: str) -> Any:
    if name == "command_arguments":
        from engine.cli import train_options

        return getattr(train_options, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
