"""`python -m engine.cli` is the command `xo`."""

import sys

from engine.cli.main import main

sys.exit(main())
