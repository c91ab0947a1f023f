# The app's image. nginx runs from the public image, with nginx/ mounted (docker-compose.yml).
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# Another package index, if the public one cannot be reached.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python3 -m venv --without-pip /opt/barestream
COPY requirements.lock requirements-build.lock ./
# The locks have a hash for each file. With wheels only, no compiler is needed.
RUN pip --python /opt/barestream/bin/python install \
        --require-hashes --only-binary :all: -r requirements.lock \
 && pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
# There is a link to these files in its place, of which Git on Windows makes a file.
RUN rm src/barestream/web/client
COPY client/src src/barestream/web/client
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheel .

FROM ${PYTHON_IMAGE}
# A fixed id, so that the files of a volume have the same owner in each release.
RUN groupadd --system --gid 10001 barestream \
 && useradd --system --uid 10001 --gid 10001 --no-create-home barestream \
 # The volumes of sockets and of Valkey's password take their owners from these folders; Valkey
 # runs in this group.
 && install -d -o barestream -g barestream /run/barestream \
 && install -d -o barestream -g barestream -m 0770 /run/barestream-engine
COPY --from=build /opt/barestream /opt/barestream
# A layer of its own: only this layer changes between releases that have the same locks.
RUN --mount=type=bind,from=build,source=/build/wheel,target=/wheel \
    pip --python /opt/barestream/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps /wheel/barestream-*.whl
ENV PATH=/opt/barestream/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
# Run it with an init (docker run --init): as process 1 it would ignore TERM while it starts.
# It does the same as `barestream serve`, without a second start of Python, which would double the time
# without service when one container replaces another.
CMD ["sh", "-c", "PROMETHEUS_MULTIPROC_DIR=$(mktemp -d -t barestream-metrics-XXXXXX) exec python -m barestream.server -c python:barestream.server.config"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --start-interval=1s --retries=2 \
    CMD ["barestream", "health"]
