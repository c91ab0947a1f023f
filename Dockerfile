# The app. nginx is the public image as it is, with nginx/ mounted (docker-compose.yml).
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# Another package index, where the public one is out of reach.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python3 -m venv --without-pip /opt/barestream
COPY requirements.lock requirements-build.lock ./
# The locks name each file by its hash; wheels alone, so that no compiler is needed.
RUN pip --python /opt/barestream/bin/python install \
        --require-hashes --only-binary :all: -r requirements.lock \
 && pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheel .

FROM ${PYTHON_IMAGE}
# A fixed id, so that a volume's files keep their owner over releases.
RUN groupadd --system --gid 10001 barestream \
 && useradd --system --uid 10001 --gid 10001 --no-create-home barestream \
 # The volumes of sockets and of Valkey's password take their owner from here; Valkey
 # is of the group.
 && install -d -o barestream -g barestream /run/barestream \
 && install -d -o barestream -g barestream -m 0770 /run/barestream-engine
COPY --from=build /opt/barestream /opt/barestream
# A layer of its own: all that differs from one release to the next, as long as the locks do not.
RUN --mount=type=bind,from=build,source=/build/wheel,target=/wheel \
    pip --python /opt/barestream/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps /wheel/barestream-*.whl
ENV PATH=/opt/barestream/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
# Run it with an init (docker run --init): as first process it would ignore TERM until it is up.
# The same as `barestream serve`, without a second start of Python: that start would double the time
# for which nothing is served while one container replaces another.
CMD ["sh", "-c", "PROMETHEUS_MULTIPROC_DIR=$(mktemp -d -t barestream-metrics-XXXXXX) exec python -m barestream.server -c python:barestream.server.config"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --start-interval=1s --retries=2 \
    CMD ["barestream", "health"]
