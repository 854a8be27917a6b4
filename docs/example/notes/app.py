"""What the service answers."""

import platform

from flask import Flask, jsonify, request

from notes.store import Store


def make_app(path):
    """The application over the notes in a file."""
    app, store = Flask("notes"), Store(path)

    @app.get("/")
    def about():
        return jsonify(service="notes", python=platform.python_version())

    @app.get("/notes")
    def show():
        return jsonify(store.all())

    @app.post("/notes")
    def add():
        return jsonify(id=store.add(request.get_data(as_text=True))), 201

    return app
