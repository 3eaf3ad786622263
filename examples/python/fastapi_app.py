"""A FastAPI application with a router inside: a route of its own that streams, and the whole REST API mounted below /ai.

pip install fastapi uvicorn
python examples/python/fastapi_app.py, then open what it says in a browser.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator

import uvicorn
from cortensor_router import Job, Router
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

router = Router()


async def words(job: Job) -> AsyncIterator[str]:
    for word in job.prompt.split():
        yield word + " "
        await asyncio.sleep(0.05)  # stands for a model that thinks


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with router:
        router.add_miner("words", words, models=["tiny"], capacity=16)
        app.mount("/ai", router.asgi())
        yield


app = FastAPI(lifespan=lifespan)

PAGE = """<!doctype html><title>ask</title><form id=f><input id=q size=60 value="every word comes on its own"> <button>ask</button></form><p id=a>
<script>f.onsubmit = async (e) => { e.preventDefault(); a.textContent = '';
const reader = (await fetch('/ask?q=' + encodeURIComponent(q.value))).body.pipeThrough(new TextDecoderStream()).getReader();
for (let r; !(r = await reader.read()).done;) a.textContent += r.value; }</script>"""


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


@app.get("/ask")
async def ask(q: str) -> StreamingResponse:
    """Streams the answer. A browser that goes away cancels the task."""
    return StreamingResponse(await router.submit(q), media_type="text/plain")


if __name__ == "__main__":
    config = uvicorn.Config(app, port=int(os.environ.get("PORT", "8000")), log_level="info")
    uvicorn.Server(config).run()
