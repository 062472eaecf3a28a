# Parley's image (`parley`), and one with Superset in it too (`superset`). compose.yaml builds and starts both.

FROM python:3.12-slim AS parley
WORKDIR /srv/parley
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
COPY requirements.lock ./
RUN python -m venv .venv \
 && uv pip sync --no-cache --require-hashes --python .venv/bin/python requirements.lock
COPY . .
RUN uv pip install --no-cache --python .venv/bin/python --no-build-isolation --no-deps --editable . \
 && useradd --uid 10001 --create-home parley \
 && mkdir -p target logs /var/lib/parley/inbox /var/lib/superset \
 && chmod 700 /var/lib/superset \
 && chown -R parley target logs /var/lib/parley /var/lib/superset
# dbt writes beside the project, everything else below PARLEY_HOME, which compose.yaml keeps in a volume
ENV PATH=/srv/parley/.venv/bin:$PATH PARLEY_PROJECT=/srv/parley PARLEY_HOME=/var/lib/parley PYTHONUNBUFFERED=1
USER parley
CMD ["parley", "--help"]

# Superset pins other versions than Parley: in an environment of its own, as `make bi` has it
FROM parley AS superset
USER root
RUN python -m venv .venv-bi \
 && uv pip sync --no-cache --require-hashes --python .venv-bi/bin/python \
    dashboards/superset/requirements-bi.lock
USER parley
CMD ["python", "-m", "dashboards.superset.serve", "--host", "0.0.0.0"]
