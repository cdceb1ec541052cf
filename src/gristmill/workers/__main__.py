"""``python -m gristmill.workers``: the parent of all workers of an agent."""

import sys

from gristmill.workers.zygote import main

sys.exit(main())
