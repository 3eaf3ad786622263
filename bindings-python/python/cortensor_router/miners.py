"""Ready-made miners, each around a package that is installed beside this one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ._job import JobError, SyncJob
from ._transformers import Transformers

if TYPE_CHECKING:
    from ._options import FailCode

__all__ = ["LlamaCpp", "Transformers"]

_ROUTERS_OWN = frozenset({"model", "stream", "stream_options", "prompt", "messages", "input", "prompt_type"})
"""Members of a request that do not go to the model as they are."""


class LlamaCpp:
    """A model in a GGUF file, run by llama.cpp in this process: `pip install cortensor-router[llama]`.

    >>> llama = LlamaCpp("qwen3-4b.gguf", capacity=4)  # doctest: +SKIP
    >>> router.add_miner("llama", llama, **llama.options)  # doctest: +SKIP

    It streams, stops when the answer is no longer wanted, applies the model's own chat template, counts tokens, and
    passes the caller's options on (`temperature`, `stop`, `response_format`, `tools` ...).
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        model: str | None = None,
        capacity: int = 1,
        context: int = 4096,
        threads: int | None = None,
        embeddings: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Loads the model, which takes a while.

        `model` is the name under which callers ask for it; where none is given, that of the file. `capacity` tasks run
        at a time, and each has a context of `context` tokens. With `embeddings` it makes embeddings and answers no
        prompts. `parameters` are further members of `xllamacpp.CommonParams`, by name.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no model file {fspath(path)}")
        try:
            llama: Any = importlib.import_module("xllamacpp")
        except ModuleNotFoundError as error:
            message = "LlamaCpp needs the package xllamacpp: pip install 'cortensor-router[llama]'"
            raise ModuleNotFoundError(message, name=error.name) from None
        given = llama.CommonParams()
        given.model.path = fspath(path)
        given.n_parallel = capacity
        given.n_ctx = context * capacity
        given.kv_unified = True
        given.embedding = embeddings
        if embeddings:
            # A prompt for an embedding is read in one piece.
            given.n_batch = given.n_ubatch = context
        if threads is not None:
            given.cpuparams.n_threads = threads
        for name, value in (parameters or {}).items():
            if not hasattr(given, name):
                raise ValueError(f"xllamacpp.CommonParams has no member {name!r}")
            setattr(given, name, value)
        self.model = model or Path(path).stem
        """The name of the model."""
        self.options: dict[str, Any] = {"models": [self.model], "capacity": capacity, "embeddings": embeddings}
        """The options for `add_miner`."""
        self._embeddings = embeddings
        self._server: Any = llama.Server(given)

    def __call__(self, job: SyncJob) -> Mapping[str, Any]:
        """Does a job."""
        request = job.request
        body: dict[str, Any] = {name: value for name, value in request.items() if name not in _ROUTERS_OWN}
        try:
            if self._embeddings:
                return self._embedded(request, job, body)
            return self._answer(request, job, body)
        except ValueError as error:
            # llama.cpp refuses a request by this error.
            code: FailCode = "context" if "context size" in str(error) else "invalid"
            raise JobError(code, str(error)) from None

    def _embedded(self, request: Mapping[str, Any], job: SyncJob, body: dict[str, Any]) -> Mapping[str, Any]:
        body["input"] = request.get("input", job.prompt)
        answer = self._server.handle_embeddings(body)
        if "error" in answer:
            raise ValueError(_words(answer["error"]))
        vectors = [one["embedding"] for one in answer["data"]]
        return {"embedding": vectors, "usage": _counts(answer.get("usage"))}

    def _answer(self, request: Mapping[str, Any], job: SyncJob, body: dict[str, Any]) -> Mapping[str, Any]:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        reading = _Reading(job)
        if request.get("prompt_type") == 1:
            self._server.handle_completions({**body, "prompt": job.prompt}, reading.take)
        else:
            messages = request.get("messages") or [{"role": "user", "content": job.prompt}]
            self._server.handle_chat_completions({**body, "messages": messages}, reading.take)
        return reading.answer()


class _Reading:
    """An answer of llama.cpp, chunk by chunk."""

    def __init__(self, job: SyncJob) -> None:
        self._job = job
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._error: BaseException | None = None

    def take(self, chunk: Any) -> bool:
        """Takes a chunk. `True` stops the model."""
        try:
            return self._take(chunk)
        except BaseException as error:  # noqa: BLE001 - an exception must not pass through llama.cpp
            self._error = error
            return True

    def _take(self, chunk: Any) -> bool:
        for one in cast("list[dict[str, Any]]", chunk if isinstance(chunk, list) else [chunk]):
            if "error" in one:
                raise ValueError(_words(one["error"]))
            self._usage = one.get("usage") or self._usage
            for choice in one.get("choices", ()):
                self._finish = choice.get("finish_reason") or self._finish
                delta: dict[str, Any] = choice.get("delta") or {"content": choice.get("text")}
                for call in delta.get("tool_calls") or ():
                    self._call(call)
                reasoning, text = delta.get("reasoning_content"), delta.get("content")
                if reasoning and not self._job.send({"reasoning": reasoning}):
                    return True
                if text and not self._job.send(text):
                    return True
        return self._job.is_cancelled

    def _call(self, part: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(
            int(part.get("index", 0)), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = part.get("id") or call["id"]
        function: Mapping[str, Any] = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

    def answer(self) -> Mapping[str, Any]:
        """The answer beside the pieces that were given."""
        if self._error is not None:
            raise self._error
        if self._job.is_cancelled:
            raise JobError("cancelled", "the answer is no longer wanted")
        answer: dict[str, Any] = {"finish_reason": self._finish, "usage": _counts(self._usage)}
        if self._calls:
            answer["tool_calls"] = [call for _, call in sorted(self._calls.items())]
        return {name: value for name, value in answer.items() if value is not None}


def _words(error: Any) -> str:
    """The words of an error of llama.cpp."""
    if not isinstance(error, Mapping):
        return str(error)
    return str(cast("Mapping[str, Any]", error).get("message", ""))


def _counts(usage: Mapping[str, Any] | None) -> dict[str, int] | None:
    if usage is None:
        return None
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: int(usage[name]) for name in names if name in usage}
