"""The ready-made miner of transformers, against a stand-in of the interface that transformers documents.

PyTorch is too large for these tests. Where it and transformers are installed, the last test runs a real model of a few
thousand numbers as well.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cortensor_router import InvalidArgumentError, SyncRouter
from cortensor_router.miners import Transformers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

END = 0


class Tensor(list[Any]):
    """A tensor, as far as it is used."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *(self[0].shape if self and isinstance(self[0], Tensor) else ()))

    def tolist(self) -> list[Any]:
        return [one.tolist() if isinstance(one, Tensor) else one for one in self]

    def mean(self, dim: int) -> Tensor:
        assert dim == 1
        return Tensor(Tensor(sum(column) / len(rows) for column in zip(*rows, strict=True)) for rows in self)


class Batch(dict[str, Any]):
    """The tokens that a tokenizer gives."""

    device = ""

    def to(self, device: str) -> Batch:
        self.device = device
        return self


class Tokenizer:
    """A tokenizer of bytes: the number of a token is that of its byte, and 0 ends a text."""

    eos_token_id = END
    pad_token_id: int | None = None
    chat_template: str | None = "a template"

    def __call__(self, text: str, *, return_tensors: str) -> Batch:
        assert return_tensors == "pt"
        return Batch(
            input_ids=Tensor([Tensor(text.encode())]), attention_mask=Tensor([Tensor([1] * len(text.encode()))])
        )

    def apply_chat_template(
        self, messages: list[dict[str, Any]], *, tools: Any, add_generation_prompt: bool, **rest: Any
    ) -> Batch:
        assert rest == {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
        assert add_generation_prompt
        if any(message["role"] not in ("system", "user", "assistant") for message in messages):
            raise RuntimeError("no such role")
        said = "".join(f"<{message['role']}>{message['content']}" for message in messages)
        return self(said + ("<tools>" if tools else "") + "<assistant>", return_tensors="pt")

    def decode(self, tokens: list[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return bytes(token for token in tokens if token != END).decode(errors="replace")


class Model:
    """A model that says what the test wants, and remembers how it was asked."""

    device = "cpu"

    def __init__(self, says: str, parameters: dict[str, Any]) -> None:
        self.config = SimpleNamespace(max_position_embeddings=200)
        self.generation_config = SimpleNamespace(eos_token_id=[END])
        self.says = says
        self.parameters = parameters
        self.asked: list[dict[str, Any]] = []
        self.generated = 0

    def eval(self) -> None:
        self.parameters["eval"] = True

    def __call__(self, *, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        assert len(input_ids[0]) == len(attention_mask[0])
        return SimpleNamespace(last_hidden_state=Tensor([Tensor(Tensor([token, 1.0]) for token in input_ids[0])]))

    def generate(self, *, input_ids: Tensor, max_new_tokens: int, streamer: Any, **options: Any) -> None:
        self.asked.append({"prompt": bytes(input_ids[0]).decode(), "max_new_tokens": max_new_tokens, **options})
        streamer.put(input_ids)
        for token in [*self.says.encode(), END][:max_new_tokens]:
            self.generated += 1
            streamer.put(Tensor([token]))
        streamer.end()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Transformers, Model]]:
    """Makes the miner of a model that says a text."""
    seeds: list[int] = []
    library, torch = ModuleType("transformers"), ModuleType("torch")
    monkeypatch.setitem(sys.modules, "transformers", library)
    monkeypatch.setitem(sys.modules, "torch", torch)
    torch.inference_mode = contextlib.nullcontext  # type: ignore[attr-defined]
    library.set_seed = seeds.append  # type: ignore[attr-defined]

    def load(says: str, **options: Any) -> tuple[Transformers, Model]:
        made: list[Model] = []

        def from_pretrained(path: str, **parameters: Any) -> Model:
            assert path == "models/tiny"
            made.append(Model(says, parameters))
            return made[0]

        kind = "AutoModel" if options.get("embeddings") else "AutoModelForCausalLM"
        setattr(library, kind, SimpleNamespace(from_pretrained=from_pretrained))
        library.AutoTokenizer = SimpleNamespace(from_pretrained=lambda _: Tokenizer())  # type: ignore[attr-defined]
        miner = Transformers("models/tiny", **options)
        made[0].parameters["seeds"] = seeds
        return miner, made[0]

    return load


@contextlib.contextmanager
def routed(miner: Transformers) -> Iterator[SyncRouter]:
    with SyncRouter({"dispatch": {"max_attempts": 1}}) as router:
        router.add_miner("tiny", miner, **miner.options)
        yield router


def test_it_streams_by_the_template_and_counts(loaded: Callable[..., tuple[Transformers, Model]]) -> None:
    miner, model = loaded("Paris, naïve \N{FACE WITH TEARS OF JOY}", parameters={"device_map": "auto"})
    assert miner.options == {"models": ["tiny"], "capacity": 1, "embeddings": False}
    assert model.parameters["device_map"] == "auto"
    assert model.parameters["eval"]
    with routed(miner) as router:
        task = router.submit(messages=[{"role": "user", "content": "Where?"}], max_tokens=64)
        tokens = list(task)
        done = task.result()
        assert "".join(tokens) == done.text == model.says
        assert tokens[:3] == ["P", "a", "r"], "one piece a token"
        assert "ï" in tokens, "a character of two tokens is one piece"
        assert done.choices[0].finish_reason == "stop"
        prompt = "<user>Where?<assistant>"
        mask = [[1] * len(prompt)]
        assert model.asked == [{"prompt": prompt, "max_new_tokens": 64, "attention_mask": mask, "pad_token_id": END}]
        assert done.usage.prompt_tokens == len(prompt)
        # The end of the text is a token, too, but a text has no more tokens than bytes.
        assert done.usage.completion_tokens == len(model.says.encode())
        assert router.complete("raw", prompt_type=1).text == model.says
        assert model.asked[1]["prompt"] == "raw"
        assert model.asked[1]["max_new_tokens"] == 200 - 3, "no more than the context has room for"


def test_an_answer_ends_where_it_should(loaded: Callable[..., tuple[Transformers, Model]]) -> None:
    miner, model = loaded("one, two, three")
    with routed(miner) as router:
        cut = router.complete("x", max_tokens=5)
        assert (cut.text, cut.choices[0].finish_reason) == ("one, ", "length")
        assert cut.usage.completion_tokens == 5
        model.generated = 0
        stopped = router.complete("x", stop=["tw!", "o, t"])
        assert (stopped.text, stopped.choices[0].finish_reason) == ("one, tw", "stop")
        assert model.generated == len("one, two, t"), "the model does not go on behind a stop"
        assert router.complete("x", stop="threes").text == model.says, "a beginning of a stop is text in the end"


def test_work_that_nobody_wants_stops(loaded: Callable[..., tuple[Transformers, Model]]) -> None:
    miner, model = loaded("word " * 100_000, context=1_000_000)
    with routed(miner) as router:
        for _ in router.submit("x"):
            break
        # The miner does one job at a time, so that this one waits for the end of the other.
        assert router.complete("x", max_tokens=4).text == "word"
        assert model.generated < 100_000


def test_options_reach_the_model(loaded: Callable[..., tuple[Transformers, Model]]) -> None:
    miner, model = loaded("x")
    with routed(miner) as router:
        tools = [{"type": "function", "function": {"name": "f"}}]
        router.complete("x", temperature=0.5, top_p=0.9, seed=7, tools=tools, max_completion_tokens=3)
        router.complete("x", temperature=0, top_p=0.9)
        router.complete("x")
    asked = [{name: one.get(name) for name in ("do_sample", "temperature", "top_p")} for one in model.asked]
    assert asked == [
        {"do_sample": True, "temperature": 0.5, "top_p": 0.9},
        {"do_sample": False, "temperature": None, "top_p": None},
        {"do_sample": None, "temperature": None, "top_p": None},
    ]
    assert model.parameters["seeds"] == [7]
    assert model.asked[0]["max_new_tokens"] == 3
    assert model.asked[0]["prompt"].endswith("<tools><assistant>")


def test_mistakes_are_named(loaded: Callable[..., tuple[Transformers, Model]]) -> None:
    miner, _ = loaded("x")
    with routed(miner) as router:
        with pytest.raises(InvalidArgumentError, match="room for 200") as long:
            router.complete("word " * 100)
        assert long.value.code == "context_length_exceeded"
        with pytest.raises(InvalidArgumentError, match="no such role"):
            router.complete(messages=[{"role": "judge", "content": "x"}])


def test_it_embeds(loaded: Callable[..., tuple[Transformers, Model]]) -> None:
    miner, _ = loaded("", embeddings=True, model="vectors")
    with routed(miner) as router:
        made = router.embed(["ac", "b"], model="vectors")
        assert [[round(number, 4) for number in vector] for vector in made.vectors] == [[0.9999, 0.0102]] * 2
        assert made.usage.prompt_tokens == 3


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cortensor-router\[transformers\]'"):
        Transformers("x")


ABSENT = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]


@pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")
def test_a_real_model(tmp_path: Path) -> None:
    transformers: Any = importlib.import_module("transformers")
    tokenizers: Any = importlib.import_module("tokenizers")
    end = "<end>"
    words = [end, "hello", "world", *"abcdefgh"]
    vocabulary = {word: number for number, word in enumerate(words)}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token=end))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=end, unk_token=end)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=10
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    miner = Transformers(tmp_path, model="real")
    with routed(miner) as router:
        task = router.submit("hello world", model="real", max_tokens=8, temperature=0)
        text = "".join(task)
        done = task.result()
        assert done.text == text
        assert done.usage.prompt_tokens == 2
        assert 1 <= done.usage.completion_tokens <= 8
        assert router.complete("hello", prompt_type=1, max_tokens=4, temperature=0.7, top_k=5, seed=1).usage
        with pytest.raises(InvalidArgumentError, match="room for 64"):
            router.complete("a " * 100)
    vectors = Transformers(str(tmp_path), embeddings=True)
    with routed(vectors) as router:
        assert [len(vector) for vector in router.embed(["hello", "a b"]).vectors] == [8, 8]
