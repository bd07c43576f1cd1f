# One image for everything the project runs: code location (the default), webserver, daemon and the command line.
FROM python:3.11.17-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DAGSTER_HOME=/opt/dagster/home

# Fixed ids, so that volumes and clusters can grant access to them.
RUN groupadd --gid 10001 dagster \
    && useradd --uid 10001 --gid dagster --home-dir "$DAGSTER_HOME" --create-home dagster

# Dependencies before the code: this layer is rebuilt only when the pins change.
WORKDIR /opt/game-analytics
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; found = tomllib.load(open('pyproject.toml', 'rb')); project = found['project']; \
        extras = project['optional-dependencies']; \
        print(*project['dependencies'], *extras['msk'], *extras['production'], *extras['registry'], \
              *found['build-system']['requires'], sep='\n')" > needs.txt \
    && pip install --constraint constraints.txt --requirement needs.txt

COPY README.md LICENSE ./
COPY game_analytics game_analytics
RUN pip install --constraint constraints.txt --no-build-isolation --no-deps .

WORKDIR $DAGSTER_HOME
COPY deploy/dagster.yaml deploy/workspace.yaml ./

USER 10001:10001

# This checks the code location; docker-compose.yml has the checks of webserver and daemon.
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s --start-interval=5s \
    CMD dagster api grpc-health-check --port "$DAGSTER_GRPC_PORT"

CMD ["game-analytics", "serve", "code"]
