# For a reproducible image, give the base by digest: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Every pinned wheel is fetched with its hash checked. The install then takes from this folder alone,
# and only what the gateway needs at run time.
COPY requirements.lock ./
RUN python -m pip download --quiet --require-hashes --no-deps --only-binary :all: \
        --dest /wheels --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY proto/ proto/
COPY gateway/ gateway/
# Extras of pyproject.toml to put in, for instance [demo] for `photoroom-gateway demo`.
ARG EXTRAS=""
RUN python -m pip wheel --quiet --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/gateway \
    && python -m pip --python /opt/gateway/bin/python install --quiet --no-index \
        --find-links /wheels "photoroom-gateway${EXTRAS}"

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Photoroom Gateway" \
      org.opencontainers.image.description="A typed, money-safe gateway for the Photoroom image API" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
# REST, gRPC, operations.
EXPOSE 8080 50051 9090
# SIGTERM, the default, drains.
ENTRYPOINT ["photoroom-gateway"]
CMD ["serve", "--config", "/etc/photoroom-gateway/config.yaml"]
