"""`python -m xiplab` is the command `xiplab`."""

import sys

from xiplab.cli import main

sys.exit(main())
