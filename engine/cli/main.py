"""The `xo` command: imports and runs one sub-command, a module of engine/cli, and prints errors as one sentence."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, TextIO, cast

from engine.cli import INTERRUPTED, exit_at_once_on_interrupt

COMMANDS = ("classify", "trace", "train", "nudge", "robustness", "bench", "info")

# Those that only print: without a reader they end. The others write files too, and go on.
ONLY_PRINTING = ("classify", "info")

FINE, FAILED = 0, 1


class OutputError(OSError):
    """The output cannot be written."""


class Output:
    """Standard output or error, which may stop working: its reader goes away, or its disk is full.

    error: of the first write that failed; what comes after it is dropped.
    raises: whether that write raises OutputError.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.raises = stream, False
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or drop the text if the stream no longer works."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, if the stream still works."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, action: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            action()
        except OSError as error:
            self.error = error
            # What is still buffered goes to the null device when the process ends.
            with suppress(OSError), open(os.devnull, "wb") as null:
                os.dup2(null.fileno(), self._stream.fileno())
            if self.raises:
                raise OutputError from error

    @property
    def complaint(self) -> str:
        """Why the output is incomplete, "" if it is complete or its reader went away."""
        if self.error is None or isinstance(self.error, BrokenPipeError):
            return ""
        return f"The output could not be written: {(self.error.strerror or str(self.error)).lower()}."


def main(argv: Sequence[str] | None = None) -> int:
    """Run `xo` with these arguments, by default as the process's command; returns the exit code.

    0: success. 1: an error the user can fix, one sentence on stderr. 130: Ctrl+C. Raises SystemExit, as argparse
    does, with 2 for invalid arguments and 0 after --help and --version.
    """
    if argv is None:
        _prepare_process()
    arguments = list(sys.argv[1:] if argv is None else argv)
    output, errors = Output(sys.stdout), Output(sys.stderr)
    with redirect_stdout(cast(TextIO, output)), redirect_stderr(cast(TextIO, errors)):
        try:
            commands = {name: import_module(f"engine.cli.{name}") for name in _commands_to_load(arguments)}
            args = _parser(commands).parse_args(arguments)
            output.raises = args.command in ONLY_PRINTING
            code = _run(commands[args.command], args)
            output.raises = False
            output.flush()
            return code or _failed(output.complaint) if output.complaint else code
        except KeyboardInterrupt:
            return INTERRUPTED
        except SystemExit as end:  # after --help, --version and wrong usage
            output.flush()
            if end.code == FINE and output.complaint:
                return _failed(output.complaint)
            raise
        finally:
            output.raises = False
            output.flush()
            if argv is None:  # the rest is Python's own end
                signal.signal(signal.SIGINT, signal.SIG_IGN)


def _prepare_process() -> None:
    """Set up what the whole process shares: its streams, warnings, and Ctrl+C while it starts."""
    exit_at_once_on_interrupt()
    # A file opened later would get the number of a closed stream, and what is meant for the stream.
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Characters that the terminal cannot encode, such as in file names, are escaped.
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # for developers
    sys.unraisablehook = _unraisable


def _unraisable(fault: sys.UnraisableHookArgs) -> None:
    """Python drops exceptions in finalizers and import locks, after a traceback; Ctrl+C there ends the process."""
    if not isinstance(fault.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(fault)
    elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        os._exit(INTERRUPTED)


def _run(command: ModuleType, args: argparse.Namespace) -> int:
    from engine.backends import DeviceUnavailable, one_blas_thread  # not before --help, which needs no NumPy

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # More threads compute these small matrix products no faster, and in training give other bytes.
        with one_blas_thread():
            return int(command.run(args))
    except OutputError:
        return FINE
    except DeviceUnavailable as error:
        return _failed(f"The GPU cannot be used: {error}; leave --device out, or use --device cpu.")
    except MemoryError:
        return _failed("Not enough memory; use a smaller picture or network.")
    except ValueError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(_sentence(error))


def _sentence(error: OSError) -> str:
    """An error of the system without its number."""
    if error.strerror is None:
        return str(error)
    reason = error.strerror[:1].lower() + error.strerror[1:]
    name = "" if error.filename is None else os.fsdecode(error.filename)
    return f"{name} cannot be used: {reason}." if name else f"The system reports: {reason}."


def _failed(sentence: str) -> int:
    # A name of a file may contain a line break; the sentence is one line.
    text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in sentence)
    print(f"xo: {text}", file=sys.stderr)
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


if __name__ == "__main__":
    sys.exit(main())
