# A worker, or any other `kithkin` command: docker build -t kithkin .
ARG PYTHON=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

# Everything is installed from hashes, the tools that build included; none of them is in the image.
FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements-uv.lock ./
RUN pip install --require-hashes --no-deps -r requirements-uv.lock
COPY requirements.lock ./
RUN uv venv --quiet /opt/kithkin \
 && uv pip sync --quiet --python /opt/kithkin/bin/python --require-hashes --only-binary :all: requirements.lock
COPY requirements-dev.lock pyproject.toml README.md LICENSE ./
COPY stream stream
COPY learners learners
RUN uv build --quiet --wheel --build-constraint requirements-dev.lock --require-hashes --out-dir dist \
 && uv pip install --quiet --python /opt/kithkin/bin/python --no-deps dist/*.whl
# Compiled here, so that a worker is there at once. Compilers compare whole seconds of a file's time, which is all that a layer keeps.
ENV NUMBA_CACHE_DIR=/opt/kithkin/kernels
RUN find /opt/kithkin -name '*.py' -exec touch --date=2020-01-01 {} + \
 && /opt/kithkin/bin/python -m compileall -q /opt/kithkin/lib \
 && /opt/kithkin/bin/python -c "import stream.home.step" \
 && chown -R 10001:10001 "$NUMBA_CACHE_DIR"
# A new volume has the owner of the folder that it is mounted over.
RUN install --directory --owner=10001 --group=10001 --mode=700 /var/lib/kithkin/service /var/lib/kithkin/policy

FROM ${PYTHON}
LABEL org.opencontainers.image.title="kithkin" \
      org.opencontainers.image.description="Learns, continuously and from real life, who is who in a household." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/kithkin /opt/kithkin
COPY --from=build --chown=10001:10001 /var/lib/kithkin /var/lib/kithkin
ENV PATH=/opt/kithkin/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# On another kind of processor the kernels are compiled anew: the folder must be writable, for instance an emptyDir.
ENV NUMBA_CACHE_DIR=/opt/kithkin/kernels
ENV KITHKIN_LISTEN=0.0.0.0:8080
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["kithkin"]
CMD ["worker", "--no-restart"]
