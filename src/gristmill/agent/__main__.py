"""``python -m gristmill.agent``: what the local engine starts."""

import sys

from gristmill.agent.main import main

sys.exit(main())
