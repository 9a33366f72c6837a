"""`python -m engine.cli` is the command `xo`."""

import sys

from engine.cli import start

sys.exit(start())
