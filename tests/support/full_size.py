"""Whether the greatest loads are run at their full size, by `make test-full`.

Else they are of a size at which the test still fails by far where the code is wrong.
"""

import os

IS_FULL_SIZE = "FULL_SIZE" in os.environ
