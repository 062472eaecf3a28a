"""Superset's settings. What differs between installations comes from the environment that `serve.py` sets."""

import json
import os
import re
from pathlib import Path
from typing import Any

from flask import redirect, request
from jinja2 import ChoiceLoader, FileSystemLoader

from dashboards.source import BLUE, GREEN, ORANGE, SCHEMES, SHADES, VERMILION
from dashboards.superset.connections import as_who_asks, sees_everybody

SECRET_KEY = os.environ["PARLEY_BI_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["PARLEY_BI_METADATA_URL"]

APP_NAME = "Parley"
FAB_API_SWAGGER_UI = False
LOG_LEVEL = "ERROR"
WTF_CSRF_TIME_LIMIT = None  # a dashboard may stay open on a wall for weeks

# Tables change with every build, and answer within a tenth of a second: a cache would only show what is no longer true.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}

DB_CONNECTION_MUTATOR = as_who_asks

# As reports, and the comparisons in words, write a share.
D3_FORMAT = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["$", ""], "percent": "\u00a0%"}

FEATURE_FLAGS = {
    "CHART_PLUGINS_EXPERIMENTAL": True,  # a number beside that of the period before
    "DASHBOARD_RBAC": False,  # who sees which rows is Postgres's to say
    "ALERT_REPORTS": False,  # Parley's own alerts and reports need no browser and no Celery
}

TEMPLATES = Path(__file__).parent / "templates"
HOME = "/superset/dashboard/overview/"
PEOPLE = re.compile(r"/api/v1/[^/]+/related/(?!(chart|dashboard|database|tables)$)[^/]+/?")


def FLASK_APP_MUTATOR(app: Any) -> None:
    """Open Superset on the overview: its own home page shows what was opened last, and nothing at first.

    And let `templates/` go before its own, and tell nobody of roles, which are named after tenants, and of people, but
    for who sees all tenants: Superset gives everybody both, to choose an owner from.
    """
    app.jinja_loader = ChoiceLoader([FileSystemLoader(TEMPLATES), app.jinja_loader])

    @app.before_request
    def home() -> Any:
        return redirect(HOME) if request.path in ("/", "/superset/welcome/") else None

    @app.after_request
    def keep_people_apart(response: Any) -> Any:
        if response.status_code == 200 and PEOPLE.fullmatch(request.path) and not sees_everybody():
            response.set_data(json.dumps({"count": 0, "result": []}))
        return response


EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": name,
        "label": name.replace("_", " ").capitalize(),
        "description": "",
        "isDefault": name == "parley",
        "colors": list(colours),
    }
    for name, colours in SCHEMES.items()
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "parley_shades",
        "label": "Parley shades",
        "description": "",
        "isDiverging": False,
        "isDefault": True,
        "colors": list(SHADES),
    }
]
THEME_DEFAULT = {
    "token": {
        "brandAppName": APP_NAME,
        "brandLogoAlt": APP_NAME,
        "brandLogoUrl": "/static/assets/images/superset-logo-horiz.png",
        "brandLogoMargin": "18px 0",
        "brandLogoHref": HOME,
        "brandLogoHeight": "24px",
        "colorPrimary": BLUE,
        "colorLink": BLUE,
        "colorError": VERMILION,
        "colorWarning": ORANGE,
        "colorSuccess": GREEN,
        "fontFamily": "Inter, Helvetica, Arial, sans-serif",
    },
    "algorithm": "default",
    "echartsOptionsOverrides": {"animation": False, "legend": {"selector": False}},  # room for the labels
}
THEME_DARK = None  # one look, the one that was looked at
