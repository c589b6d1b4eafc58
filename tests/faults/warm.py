"""The product after its first requests. Loaded once (gunicorn's --preload): a new process is there at once for a killed one."""

import json
import os

from flask import Flask

import wsgi
from practice.db import db, new_key
from web import config


def create_app() -> Flask:
    settings = config.read(os.environ)
    if size := os.environ.get("FAULTS_POOL"):
        for options in settings["SQLALCHEMY_BINDS"].values():
            options |= {"pool_size": int(size), "max_overflow": 0}
    app, asked = wsgi.create_app(settings), json.loads(os.environ["FAULTS_WARM"])
    how = {"base_url": app.config["PORTAL_URL"], "headers": {"Cookie": asked["cookie"]}}
    client = app.test_client(use_cookies=False)
    client.get("/messages/new", **how)
    client.post("/messages/new", data=asked["form"] | {"key": new_key()}, **how)
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()  # no connection is shared by those that come of this process
    return app
