"""All homes: `fleet_step` puts what homes say of change together into few alerts, each of one cause.

Pure as a home is: the same signals give the same alerts. `state` is what is remembered, `evidence` which
causes homes share, `cases` the life of an alert, `texts` its sentences. The live service is in
`stream.runtime.fleet`.
"""

from .state import Fleet
from .step import advance, alerts_of, fleet_step, grace_ms, obey, take

__all__ = ["Fleet", "advance", "alerts_of", "fleet_step", "grace_ms", "obey", "take"]
