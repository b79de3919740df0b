"""What people type: `kithkin`.

Nothing heavy is imported before a command needs it. Commands that speak with a cluster are in `live`, those
that need none in `offline`.
"""

from .app import app, main

__all__ = ["app", "main"]
