"""Hides the package of this name from processes under test.

It is here with a tool of the tests, Clipzy is installed without it, and structlog imports it where it is: that takes a
fifth of the time in which a command starts, and makes tracebacks in logs look otherwise than they do for operators.
"""

raise ImportError("Clipzy is installed without rich")
