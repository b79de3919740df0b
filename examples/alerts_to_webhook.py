"""Posts every alert to a URL, and goes on where it stopped: python alerts_to_webhook.py https://pager.example/alerts [BROKER]"""

import sys

from stream import subscribe
from stream.runtime.fleet.webhook import Webhook


def main(url: str, broker: str | None = None, prefix: str | None = None, *, follow: bool = True) -> None:
    """Each change of an alert is a CloudEvent; it has been dealt with once the receiver took it."""
    webhook = Webhook(url, source="kithkin")  # tries again for a while where that may help, and else raises DeliveryError
    for alert in subscribe("alerts", broker, prefix, group="alerts-to-webhook", follow=follow):
        webhook.post(alert)
        print(f"{alert.state} {alert.severity}: {alert.summary} {alert.suggested_action}")


if __name__ == "__main__":
    main(*sys.argv[1:])
