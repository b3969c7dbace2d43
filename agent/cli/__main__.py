"""`python -m agent.cli`, for where the `attune` script is not on the path."""

import sys

from agent.cli import main

sys.exit(main())
