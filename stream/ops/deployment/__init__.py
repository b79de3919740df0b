"""What a platform needs to run and watch kithkin, rendered: Kubernetes, systemd, Prometheus, Alertmanager, Grafana.

Law: the same version renders the same bytes, and every metric that a rule or a panel names is one that is exposed.
"""

__all__: list[str] = []
