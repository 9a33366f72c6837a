"""The `xo` command: imports and runs one sub-command, a module of engine/cli, and prints errors as one sentence."""

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
    """Run `xo` with these arguments, by default those of the process; returns the exit code.

    0: success. 1: an error the user can fix, one sentence on stderr. 130: Ctrl+C. Raises SystemExit, as argparse
    does, with 2 for invalid arguments and 0 after --help and --version.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _escape_unprintable()
    try:
        commands = {name: import_module(f"engine.cli.{name}") for name in _commands_to_load(arguments)}
        args = _parser(commands).parse_args(arguments)
        return _run(commands[args.command], args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed the pipe. What Python still flushes at exit goes to /dev/null.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE


def _run(command: ModuleType, args: argparse.Namespace) -> int:
    from engine.backends import DeviceUnavailable  # not before --help and --version, which need no NumPy

    try:
        code = int(command.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except DeviceUnavailable as error:
        return _failed(f"The GPU cannot be used ({error}); leave --device out, or use --device cpu.")
    except MemoryError:
        return _failed("Not enough memory; use a smaller picture or network.")
    except (ValueError, OSError) as error:
        return _failed(str(error))


def _failed(sentence: str) -> int:
    print(f"xo: {sentence}", file=sys.stderr)
    return FAILED


def _commands_to_load(arguments: Sequence[str]) -> Sequence[str]:
    """The named sub-command, or all if none is named, for the help text."""
    if arguments[:1] == ["--version"]:
        return ()
    return arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS


def _parser(commands: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xo", description="Classify hand-drawn X and O with a small neural network.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in commands.values():
        command.add(subparsers)
    return parser


class _Version(argparse.Action):
    """Reads the version only if --version is given."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from engine.installation import program_version

        print(f"xo {program_version()}")
        parser.exit(FINE)


def _escape_unprintable() -> None:
    """Escape characters that the terminal cannot encode, such as in file names, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
