"""The first run from a checkout: what must happen before any package is imported.

Standard library only, because nothing else is there yet, and no syntax newer than Python 3.7, so that an old
Python answers with a sentence and not with a SyntaxError.
"""

from xo_gui.bootstrap.environment import ensure_environment
from xo_gui.bootstrap.system_libraries import ensure_system_libraries

__all__ = ["ensure_environment", "ensure_system_libraries"]
