"""Superset's settings. What differs between installations comes from the environment that `serve.py` sets."""

import os

from dashboards.superset.connections import as_who_asks

SECRET_KEY = os.environ["PARLEY_BI_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["PARLEY_BI_METADATA_URL"]

APP_NAME = "Parley"
FAB_API_SWAGGER_UI = False
LOG_LEVEL = "ERROR"
WTF_CSRF_TIME_LIMIT = None  # a dashboard may stay open on a wall for weeks

# Tables change with every build, and answer within a tenth of a second: a cache would only show what is no longer true.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}

DB_CONNECTION_MUTATOR = as_who_asks

FEATURE_FLAGS = {
    "CHART_PLUGINS_EXPERIMENTAL": True,  # a number beside that of the period before
    "DASHBOARD_RBAC": False,  # who sees which rows is Postgres's to say
    "ALERT_REPORTS": False,  # Parley's own alerts and reports need no browser and no Celery
}

COLOURS = {
    "blue": "#2f6fb3",
    "green": "#3f9c6f",
    "amber": "#e0a030",
    "red": "#cf4d4d",
    "violet": "#7d62b0",
    "teal": "#2fa5a5",
    "brown": "#9a7250",
    "pink": "#cf6f9f",
    "grey": "#8a93a0",
    "olive": "#8b9a3b",
}
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {"id": "parley", "label": "Parley", "description": "", "isDefault": True, "colors": list(COLOURS.values())}
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "parley_blues",
        "label": "Parley blues",
        "description": "",
        "isDiverging": False,
        "isDefault": True,
        "colors": ["#eef4fb", "#c6dbef", "#8fbbe0", "#5795cc", "#2f6fb3", "#1c4a80"],
    }
]
THEME_DEFAULT = {
    "token": {
        "brandAppName": APP_NAME,
        "brandLogoAlt": APP_NAME,
        "brandLogoUrl": "/static/assets/images/superset-logo-horiz.png",
        "brandLogoMargin": "18px 0",
        "brandLogoHref": "/",
        "brandLogoHeight": "24px",
        "colorPrimary": COLOURS["blue"],
        "colorLink": COLOURS["blue"],
        "colorError": COLOURS["red"],
        "colorWarning": COLOURS["amber"],
        "colorSuccess": COLOURS["green"],
        "fontFamily": "Inter, Helvetica, Arial, sans-serif",
    },
    "algorithm": "default",
}
THEME_DARK = None  # one look, the one that was looked at
