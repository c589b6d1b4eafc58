"""The application: the only place that sees everything."""

import os
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask
from flask_babel import Babel
from flask_bootstrap import Bootstrap5
from flask_migrate import Migrate

import admin
import portal
import staff
from practice.db import db, set_up_engines
from practice.settings import Practice
from web import (
    attached,
    check_config,
    cli,
    compiled,
    config,
    demo_mails,
    errors,
    files,
    formats,
    gate,
    headers,
    invitations,
    login,
    logo,
    logs,
    metrics,
    new_email,
    registering,
    reset,
    second_step,
)


class Portal(Flask):
    jinja_environment = compiled.Templates

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """None of the portal's functions is a coroutine. Flask looks at each of them at each request."""
        return func


def create_app(settings: dict[str, Any] | None = None) -> Flask:
    """The portal, configured from the environment, or from `settings` alone. Raises config.Unsafe."""
    if settings is None and check_config.is_asked():
        return check_config.application()
    app = Portal(__name__)
    app.config |= config.FIXED | (config.read(os.environ) if settings is None else settings)
    # Of forms too the last key is for what is made now, those before it for what was opened while they held.
    app.config["WTF_CSRF_SECRET_KEY"] = [*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.config["SECRET_KEY"]]
    logs.set_up(app)
    db.init_app(app)
    with app.app_context():
        set_up_engines()
        if not app.config["IS_DEMO"]:
            config.refuse_demo_database()
    Migrate(app, db, directory=str(check_config.MIGRATIONS))
    Babel(app)
    Bootstrap5(app)
    for part in (gate, headers, files, formats, attached, errors, cli):
        part.set_up(app)
    app.register_blueprint(health())
    app.register_blueprint(login.blueprint)
    app.register_blueprint(second_step.blueprint)
    app.register_blueprint(invitations.blueprint)
    app.register_blueprint(reset.blueprint)
    app.register_blueprint(registering.blueprint)
    app.register_blueprint(new_email.blueprint)
    app.register_blueprint(logo.blueprint)
    metrics.set_up(app)
    for side in (portal, staff, admin):
        app.register_blueprint(side.blueprint)
    if app.config["IS_DEMO"]:
        app.register_blueprint(demo_mails.blueprint)
    return app


def health() -> Blueprint:
    """`/healthz`: 200 when the database answers; without log-in, for whoever watches the service."""
    blueprint = Blueprint("web", __name__)

    @blueprint.get("/healthz")
    @gate.allow(gate.ANYONE)
    def healthz() -> dict[str, str]:
        db.session.scalar(sa.select(Practice.id))
        return {"status": "ok"}

    return blueprint
