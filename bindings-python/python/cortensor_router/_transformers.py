"""The miner around a model that transformers runs."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, cast

from ._job import JobError, SyncJob

if TYPE_CHECKING:
    from ._options import FailCode

_CONTEXT = 4096
"""The tokens of a context where the model does not say how many it can read."""


class Transformers:
    """A model of transformers, run by PyTorch in this process: `pip install cortensor-router[transformers]`.

    >>> smol = Transformers("HuggingFaceTB/SmolLM2-135M-Instruct")  # doctest: +SKIP
    >>> router.add_miner("smol", smol, **smol.options)  # doctest: +SKIP

    It streams, stops when the answer is no longer wanted, applies the tokenizer's chat template, and counts tokens. Of
    the caller's options it heeds `max_tokens`, `temperature`, `top_p`, `top_k`, `min_p`, `repetition_penalty`, `seed`
    and `stop`. `tools` go into the template; a call of a tool stands in the text as the model writes it.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        model: str | None = None,
        capacity: int = 1,
        context: int | None = None,
        embeddings: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Loads the model, which takes a while.

        `path` is a directory or a name that transformers knows, and `model` the name under which callers ask for it;
        where none is given, the last part of the path. `capacity` tasks run at a time, each on a thread of its own: one
        is best on a processor without a graphics card. A context has `context` tokens, by default as many as the model
        was made for. With `embeddings` it makes embeddings and answers no prompts: the mean of the last layer, of the
        length one. `parameters` go to `from_pretrained` of the model: `device_map`, `dtype` ...
        """
        try:
            library: Any = importlib.import_module("transformers")
            self._torch: Any = importlib.import_module("torch")
        except ModuleNotFoundError as error:
            message = (
                "Transformers needs the packages transformers and torch: pip install 'cortensor-router[transformers]'"
            )
            raise ModuleNotFoundError(message, name=error.name) from None
        kind = library.AutoModel if embeddings else library.AutoModelForCausalLM
        self._set_seed: Any = library.set_seed
        self._tokenizer: Any = library.AutoTokenizer.from_pretrained(fspath(path))
        self._model: Any = kind.from_pretrained(fspath(path), **(parameters or {}))
        self._model.eval()
        self._embeddings = embeddings
        known = getattr(self._model.config, "max_position_embeddings", None)
        self._context = int(context or known or _CONTEXT)
        self.model = model or fspath(path).rstrip("/").rsplit("/", 1)[-1]
        """The name of the model."""
        self.options: dict[str, Any] = {"models": [self.model], "capacity": capacity, "embeddings": embeddings}
        """The options for `add_miner`."""

    def __call__(self, job: SyncJob) -> Mapping[str, Any]:
        """Does a job."""
        request = job.request
        if self._embeddings:
            return self._embedded(job, request)
        inputs = self._read(job, request).to(self._model.device)
        prompt = self._fitting(inputs)
        asked = request.get("max_completion_tokens") or request.get("max_tokens")
        most = min(int(asked or self._context), self._context - prompt)
        ends = self._ends()
        reading = _Reading(job, self._tokenizer, ends, _stops(request))
        options = _sampling(request)
        if self._tokenizer.pad_token_id is None and ends:
            # The model would say on standard error that it does so.
            options["pad_token_id"] = ends[0]
        if request.get("seed") is not None:
            self._set_seed(int(request["seed"]))
        with contextlib.suppress(_EnoughError):
            self._model.generate(**inputs, **options, max_new_tokens=most, streamer=reading)
        return reading.answer(prompt, most)

    def _read(self, job: SyncJob, request: Mapping[str, Any]) -> Any:
        """The prompt as tokens, by the chat template, if there is one."""
        if request.get("prompt_type") == 1 or not self._tokenizer.chat_template:
            return self._tokenizer(job.prompt, return_tensors="pt")
        messages = request.get("messages") or [{"role": "user", "content": job.prompt}]
        try:
            return self._tokenizer.apply_chat_template(
                messages,
                tools=request.get("tools"),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        except Exception as error:
            raise _refused("invalid", f"the chat template refuses the messages: {error}") from error

    def _fitting(self, inputs: Any) -> int:
        """The number of tokens that are to be read."""
        count = int(inputs["input_ids"].shape[-1])
        if count >= self._context:
            raise _refused("context", f"the prompt has {count} tokens, and the context has room for {self._context}")
        return count

    def _ends(self) -> Sequence[int]:
        """The tokens after which the model says no more."""
        end: Any = self._model.generation_config.eos_token_id
        if end is None:
            end = self._tokenizer.eos_token_id
        return cast("Sequence[int]", end) if isinstance(end, list) else [] if end is None else [int(end)]

    def _embedded(self, job: SyncJob, request: Mapping[str, Any]) -> Mapping[str, Any]:
        given = request.get("input", job.prompt)
        texts: list[Any] = [given] if isinstance(given, str) else list(given)
        vectors: list[list[float]] = []
        tokens = 0
        for text in texts:
            if job.is_cancelled:
                raise _refused("cancelled", "the answer is no longer wanted")
            if not isinstance(text, str):
                raise _refused("invalid", "the model makes vectors of texts, not of tokens")
            inputs = self._tokenizer(text, return_tensors="pt").to(self._model.device)
            tokens += self._fitting(inputs)
            with self._torch.inference_mode():
                mean = self._model(**inputs).last_hidden_state.mean(dim=1)[0].tolist()
            length = math.hypot(*mean) or 1.0
            vectors.append([number / length for number in mean])
        return {"embedding": vectors, "usage": {"prompt_tokens": tokens}}


class _EnoughError(Exception):
    """Ends a generation."""


class _Reading:
    """The tokens of an answer as they come. It is a streamer for `generate`."""

    def __init__(self, job: SyncJob, tokenizer: Any, ends: Sequence[int], stops: Sequence[str]) -> None:
        self._job = job
        self._tokenizer = tokenizer
        self._ends = ends
        self._stops = stops
        self._tokens: list[int] = []
        self._prompt_is_over = False
        # The text up to `_shown` was given. The tokens from `_from` on are decoded: blanks depend on the one before.
        self._from = 0
        self._shown = 0
        self._kept = ""
        self._is_stopped = False

    def put(self, value: Any) -> None:
        """Takes the next token; the prompt comes first."""
        if not self._prompt_is_over:
            self._prompt_is_over = True
            return
        if self._job.is_cancelled:
            raise _EnoughError
        self._tokens.extend(int(token) for token in value.tolist())
        before, text = self._decoded(self._from, self._shown), self._decoded(self._from, len(self._tokens))
        # A token may end in the middle of a character.
        if len(text) > len(before) and not text.endswith("\N{REPLACEMENT CHARACTER}"):
            self._from, self._shown = self._shown, len(self._tokens)
            self._give(text[len(before) :])

    def end(self) -> None:
        """Takes the end: what was kept for a stop that did not come is text."""
        text = self._decoded(self._from, len(self._tokens))[len(self._decoded(self._from, self._shown)) :]
        self._send(self._kept + text)
        self._kept = ""

    def _decoded(self, begin: int, end: int) -> str:
        return str(self._tokenizer.decode(self._tokens[begin:end], skip_special_tokens=True))

    def _give(self, text: str) -> None:
        self._kept += text
        found = [at for at in (self._kept.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self._is_stopped = True
            self._send(self._kept[: min(found)])
            raise _EnoughError
        # The end of the text may be the beginning of a stop.
        keep = max((_overlap(self._kept, stop) for stop in self._stops), default=0)
        ready, self._kept = self._kept[: len(self._kept) - keep], self._kept[len(self._kept) - keep :]
        self._send(ready)

    def _send(self, text: str) -> None:
        if text and not self._job.send(text):
            raise _EnoughError

    def answer(self, prompt: int, most: int) -> Mapping[str, Any]:
        """The answer beside the pieces that were given."""
        if self._job.is_cancelled:
            raise _refused("cancelled", "the answer is no longer wanted")
        count = len(self._tokens)
        is_cut = count >= most and not self._is_stopped and self._tokens[-1] not in self._ends
        usage = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
        return {"finish_reason": "length" if is_cut else "stop", "usage": usage}


def _overlap(text: str, stop: str) -> int:
    """The length of the longest beginning of `stop` with which the text ends."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)


def _stops(request: Mapping[str, Any]) -> list[str]:
    stop: str | Sequence[str] = request.get("stop") or ()
    return [stop] if isinstance(stop, str) else [one for one in stop if one]


def _sampling(request: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `generate`. The model's own hold where the caller says nothing."""
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    given = {name: request[name] for name in names if request.get(name) is not None}
    if given.get("temperature") == 0:
        return {"do_sample": False} | {name: given[name] for name in ("repetition_penalty",) if name in given}
    return given | ({"do_sample": True} if given.keys() - {"repetition_penalty"} else {})


def _refused(code: FailCode, message: str) -> JobError:
    return JobError(code, message)
