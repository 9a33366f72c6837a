"""The `xo` command: finds the sub-command that is asked for, runs it, and turns errors into one sentence.

Not the sub-commands, which are in engine/cli. It loads no Qt, and of the rest only what is asked for.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

COMMANDS = ("classify", "trace", "train", "nudge", "robustness", "bench", "info")

FINE, FAILED, INTERRUPTED = 0, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `xo` with these words, by default those of the process; returns the exit code.

    0: fine. 1: an error the user can mend, told on stderr in one sentence. 130: Ctrl+C. Raises SystemExit, as
    argparse does, with 2 for words that mean nothing and 0 after --help and --version.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _print_anything()
    try:
        commands = {name: import_module(f"engine.cli.{name}") for name in _wanted(words)}
        args = _parser(commands).parse_args(words)
        return _run(commands[args.command], args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough. What Python would still write at the end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE


def _run(command: ModuleType, args: argparse.Namespace) -> int:
    from engine.backends.backend import DeviceError  # not before --help and --version, which need no NumPy

    try:
        code = int(command.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except DeviceError as error:
        return _failed(f"The GPU cannot be used ({error}); leave --device out, or use --device cpu.")
    except MemoryError:
        return _failed("There is not enough memory for this; use a smaller picture or network.")
    except (ValueError, OSError) as error:
        return _failed(str(error))


def _failed(sentence: str) -> int:
    print(f"xo: {sentence}", file=sys.stderr)
    return FAILED


def _wanted(words: Sequence[str]) -> Sequence[str]:
    """The sub-commands to load: the one that is asked for, or all if the words name none, so that help can."""
    if words[:1] == ["--version"]:
        return ()
    return words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS


def _parser(commands: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xo", description="Reads hand-drawn X and O with a small neural network.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in commands.values():
        command.add(subparsers)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from engine.installation import program_version

        print(f"xo {program_version()}")
        parser.exit(FINE)


def _print_anything() -> None:
    """Print file names as best we can: one that the terminal cannot show is no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
