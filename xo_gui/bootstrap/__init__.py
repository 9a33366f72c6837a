"""Bootstrap of a checkout: prepares the Python environment and system libraries before any package is imported.

Standard library only, because nothing else is installed yet, and no syntax newer than Python 3.7, so that an old
Python ends with a sentence instead of a SyntaxError.
"""

from xo_gui.bootstrap.environment import ensure_environment
from xo_gui.bootstrap.system_libraries import ensure_system_libraries

__all__ = ["ensure_environment", "ensure_system_libraries"]
