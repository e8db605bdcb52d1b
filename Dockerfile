# Two images: `serve` answers over HTTP and holds nothing else, `train` runs the flows.
# The base is pinned by its digest; Dependabot renews it.
ARG BASE=python:3.13-slim@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${BASE} AS build-serve
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY scripts/install-image.sh scripts/
COPY src src
COPY flows flows
COPY api api
RUN scripts/install-image.sh serve,postgres /opt/venv

FROM build-serve AS build-train
RUN rm -rf /opt/venv && scripts/install-image.sh train,postgres,s3 /opt/venv

FROM ${BASE} AS serve
RUN useradd --system --uid 10001 salescast
COPY --from=build-serve /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 SALESCAST_CONFIG=/workspace/config.toml
WORKDIR /workspace
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz/live', timeout=2)"]
CMD ["salescast", "serve", "--host", "0.0.0.0"]

FROM ${BASE} AS train
RUN useradd --system --uid 10001 --home-dir /tmp salescast
COPY --from=build-train /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 SALESCAST_CONFIG=/workspace/config.toml
WORKDIR /workspace
USER 10001
HEALTHCHECK NONE
CMD ["prefect", "worker", "start", "--pool", "salescast", "--limit", "1"]
