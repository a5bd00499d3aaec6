"""What a Flask tutorial would write to take an upload."""

from pathlib import Path
from uuid import uuid4

from flask import Flask, request


def create_app(directory: str) -> Flask:
    app = Flask("stock")

    @app.get("/")
    def alive() -> str:
        return "ok"

    @app.post("/")
    def upload() -> str:
        request.files["file"].save(Path(directory) / f"stock-{uuid4().hex}.mp4")
        return "ok"

    return app
