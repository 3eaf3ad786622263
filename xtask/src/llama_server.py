#!/usr/bin/env python3
"""llama.cpp's server out of the package `xllamacpp`, which carries it as a library.

It takes those options of llama.cpp's own `llama-server` that the tests need.
"""

import argparse
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from xllamacpp import CommonParams, Server, llama_pooling_type  # noqa: E402

options = argparse.ArgumentParser(allow_abbrev=False)
options.add_argument("-m", "--model", required=True)
options.add_argument("--host", default="127.0.0.1")
options.add_argument("--port", type=int, default=8080)
options.add_argument("-c", "--ctx-size", type=int, default=2048)
options.add_argument("--parallel", type=int, default=1)
options.add_argument("--threads", type=int, default=1)
options.add_argument("--kv-unified", action=argparse.BooleanOptionalAction, default=True)
options.add_argument("--slots", action=argparse.BooleanOptionalAction, default=True)
options.add_argument("--embeddings", action="store_true")
options.add_argument("--pooling", choices=["none", "mean"])
given = options.parse_args()

parameters = CommonParams()
parameters.model.path = given.model
parameters.hostnames = [given.host]
parameters.port = given.port
parameters.n_ctx = given.ctx_size
parameters.n_parallel = given.parallel
parameters.kv_unified = given.kv_unified
# Its threads wait for each other by spinning: on a busy machine one thread is many times faster than two.
parameters.cpuparams.n_threads = given.threads
parameters.endpoint_slots = given.slots
parameters.embedding = given.embeddings
if given.pooling is not None:
    parameters.pooling_type = llama_pooling_type(["none", "mean"].index(given.pooling))

server = Server(parameters)
print(f"listening on {server.listening_address}", flush=True)
signal.pause()
