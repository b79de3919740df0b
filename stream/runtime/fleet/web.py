"""What may be asked of the fleet stage over HTTP: a page for who is on call, alerts, their history and answers, and how it is.

Law: what is shown is what was decided; an answer is a record on `drift-commands`, as from anybody else. A page elsewhere cannot
answer in somebody's name: that takes JSON, which no browser sends across sites unasked.
"""

import json
import time
import uuid
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from stream.contract.records import Alert, Command
from stream.fleet.texts import runbook_of

from .archive import Archive
from .processor import FleetProcessor

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["show"]

_AT_ONCE: Final = 12  # alerts that ended
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


def show(
    app: Any, processor: FleetProcessor, archive: Archive, registry: "CollectorRegistry", sick: Callable[[], str | None]
) -> None:
    """Add the views to a Faust app; `sick`: why it is not well."""
    _show_alerts(app, processor, archive)
    page = files(__package__).joinpath("page.html").read_text("utf-8")

    @app.page("/")  # type: ignore[untyped-decorator]
    async def home(view: Any, request: Any) -> Any:
        return view.html(page, headers={"Content-Security-Policy": _POLICY})

    @app.page("/healthz")  # type: ignore[untyped-decorator]
    async def healthz(view: Any, request: Any) -> Any:
        why = sick()
        return view.text(f"{why or 'ok'}\n", status=503 if why else 200)

    @app.page("/metrics")  # type: ignore[untyped-decorator]
    async def metrics(view: Any, request: Any) -> Any:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return view.bytes(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _describe(alert: Alert) -> dict[str, Any]:
    return alert.model_dump() | {"runbook": runbook_of(alert.cause_kind)}


def _show_alerts(app: Any, processor: FleetProcessor, archive: Archive) -> None:
    from faust.web import View

    @app.page("/alerts")  # type: ignore[untyped-decorator]
    async def alerts(view: Any, request: Any) -> Any:
        return view.json([_describe(alert) for alert in processor.alerts.values()])

    @app.page("/closed")  # type: ignore[untyped-decorator]
    async def list_ended(view: Any, request: Any) -> Any:
        """Alerts that ended, the latest first, so many at once; `after`: the `last` of those before."""
        found, last = archive.find_closed(request.query.get("after", ""), _AT_ONCE)
        return view.json({"alerts": [_describe(alert) for alert in found], "last": last})

    @app.page("/alerts/{alert_id}")
    class One(View):
        async def get(self, request: Any, alert_id: str) -> Any:
            found = processor.alerts.get(alert_id) or archive.alert(alert_id)
            if found is None:
                return self.json({"error": f"no alert {alert_id} is known"}, status=404)
            return self.json(_describe(found) | {"history": archive.history(alert_id)})

        async def post(self, request: Any, alert_id: str) -> Any:
            """Acknowledge, silence or resolve it: {"kind": …, "by": …}."""
            if request.content_type != "application/json":
                return self.json({"error": "an answer is JSON: send Content-Type: application/json"}, status=415)
            if alert_id not in processor.alerts:
                return self.json({"error": f"no alert {alert_id} stands, or stood not long ago"}, status=404)
            own = {"v": 1, "command_id": f"c-{uuid.uuid4().hex}", "alert_id": alert_id, "given_at": round(time.time() * 1_000)}
            try:
                processor.pass_on(Command.model_validate(json.loads(await request.text()) | own))
            except (ValidationError, TypeError, ValueError):
                right = 'an answer is {"kind": "acknowledge", "by": "maria"}, or of the kind silence or resolve'
                return self.json({"error": right}, status=400)
            return self.json({"said": own["command_id"]}, status=202)
