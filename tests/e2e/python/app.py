"""The functions in a Flask or a FastAPI app, as FRAMEWORK says; everything else the SDK finds in its environment by itself.

Flask calls the SDK's synchronous half, FastAPI its asynchronous one; only the latter can stream.
"""

import logging
import os
import socket
import sys

import inngest
from functions import make_functions, make_streamed_functions

logging.basicConfig(stream=sys.stderr, level=logging.INFO)


def listening() -> socket.socket:
    """A socket that listens on PORT of the loopback interface, and says so."""
    server = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "0"))), backlog=128)
    print(f"listening on {server.getsockname()[1]}", flush=True)
    return server


def run_flask(client: inngest.Inngest) -> None:
    import flask
    import inngest.flask
    from werkzeug.serving import make_server

    app = flask.Flask(__name__)
    inngest.flask.serve(app, client, make_functions(client))
    with listening() as server:
        make_server("127.0.0.1", 0, app, threaded=True, fd=server.fileno()).serve_forever()


def run_fastapi(client: inngest.Inngest) -> None:
    import fastapi
    import inngest.fast_api
    import uvicorn

    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, make_functions(client))
    streamed = inngest.Inngest(app_id="apps-streamed")
    inngest.fast_api.serve(
        app, streamed, make_streamed_functions(streamed), serve_path="/api/streamed", streaming=inngest.Streaming.FORCE
    )
    with listening() as server:
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[server])


{"flask": run_flask, "fastapi": run_fastapi}[os.environ["FRAMEWORK"]](inngest.Inngest(app_id="apps"))
