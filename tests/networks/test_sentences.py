"""Models of sentence-transformers as networks: what a folder may hold, and whether the embeddings are the library's."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from text_models import write_static_model, write_tiny_bert

from raycal.errors import InputError
from raycal.networks import networks
from raycal.networks.sentences.model_folder import check_model_folder, is_folder, is_repository, model_folder
from raycal.networks.sentences.network import SentenceNetwork, load_encoder

TEXTS = (
    "the cat sat on a mat",
    "",
    "dog ran" + " far" * 20,
    "\x00 \u202e 😀 é",
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_static_model(tmp_path_factory.mktemp("models") / "static")


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bert, tmp_path / "model"))


def batch(ids: list[list[int]]) -> torch.Tensor:
    tokens = torch.zeros(len(ids), 2, max(1, *map(len, ids)), dtype=torch.int64)
    for row, one in enumerate(ids):
        tokens[row, 0, : len(one)] = torch.tensor(one)
        tokens[row, 1, : len(one)] = 1
    return tokens


def embeddings(network: SentenceNetwork, tokens: torch.Tensor) -> torch.Tensor:
    given: list[torch.Tensor] = []
    hook = network.head.register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    with torch.inference_mode():
        network.eval()(tokens)
    hook.remove()
    return given[0]


@pytest.mark.parametrize("model", ["bert", "static"])
def test_input_of_the_last_layer_is_the_embedding_of_the_library(model: str, request: pytest.FixtureRequest) -> None:
    encoder = load_encoder(request.getfixturevalue(model))
    expected = encoder.encode(list(TEXTS), convert_to_tensor=True)
    network = SentenceNetwork(encoder, 3)

    ids = network.tokenize(TEXTS)
    made = embeddings(network, batch(ids))

    assert torch.allclose(made, expected, atol=1e-6)
    assert network(batch(ids)).shape == (4, 3)
    if model == "bert":
        assert made.norm(dim=1).tolist() == pytest.approx([1] * 4, abs=1e-5)  # its last module normalizes
        assert len(ids[2]) == network.tokenize.max_length == 16  # the text is cut off
    else:
        assert ids[1] == []
        assert not made[1].any()


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "lasttoken"])
def test_padding_does_not_change_an_embedding(pooling: str, tmp_path: Path) -> None:
    network = SentenceNetwork(load_encoder(write_tiny_bert(tmp_path / "bert", pooling=pooling)), 2)
    (ids,) = network.tokenize(["the dog ran"])

    alone = embeddings(network, batch([ids]))
    padded = embeddings(network, batch([ids, list(range(5, 15))]))[:1]

    assert torch.allclose(alone, padded, atol=1e-6)


def test_every_parameter_with_a_gradient_gets_one(bert: Path) -> None:
    network = SentenceNetwork(load_encoder(bert), 2)

    network(batch(network.tokenize(TEXTS))).sum().backward()

    assert {name for name, value in network.named_parameters() if value.requires_grad and value.grad is None} == set()
    frozen = {name for name, value in network.named_parameters() if not value.requires_grad}
    assert frozen == {"encoder.0.model.pooler.dense.weight", "encoder.0.model.pooler.dense.bias"}


def test_prompt_of_the_model_stands_before_every_text(copy: Path) -> None:
    settings = json.loads((copy / "config_sentence_transformers.json").read_text())
    settings |= {"prompts": {"given": "the dog "}, "default_prompt_name": "given"}
    (copy / "config_sentence_transformers.json").write_text(json.dumps(settings))

    tokenize = SentenceNetwork(load_encoder(copy), 2).tokenize

    assert tokenize(["sat"]) == [[2, 5, 7, 8, 3]]  # [CLS] the dog sat [SEP]
    assert "the dog " in tokenize.fingerprint


def test_fingerprint_tells_tokenizations_apart(bert: Path, static: Path, tmp_path: Path) -> None:
    shorter = write_tiny_bert(tmp_path / "shorter", longest=8)
    prints = [SentenceNetwork(load_encoder(folder), 2).tokenize.fingerprint for folder in (bert, bert, static, shorter)]

    assert prints[0] == prints[1]
    assert len({*prints}) == 3


def test_family_knows_folders_and_names(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bert.parent)
    for name in (f"sentence-transformers/{bert}", "sentence-transformers/./bert"):
        assert name in networks
        assert networks.facts(name).input == "texts"
        assert networks[name](4).head.out_features == 4
        assert networks.facts(name).cost(224) == pytest.approx(1.6e-5, rel=0.1)
    assert "sentence-transformers/all-MiniLM-L6-v2" in networks  # nothing is downloaded to know this
    assert "sentence-transformers/BAAI/bge-small-en-v1.5@main" in networks
    for name in ("", "a b", "../nowhere", "./bert/nothing", "a/b/c", "\n", "x\0"):
        assert f"sentence-transformers/{name}" not in networks
    assert networks.refusal("sentence-transformers/./bart") == f"{bert.parent / 'bart'}: no such folder"


def test_names_and_paths_are_told_apart() -> None:
    assert [is_folder(rest) for rest in ("./a", "/a", "~/a", "..", "a/b", "a")] == [True] * 4 + [False] * 2
    assert [is_repository(rest) for rest in ("a", "a/b", "a/b@v1", "a/b/c", "-a", "a@", "")] == [True] * 3 + [False] * 4


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "modules.json").unlink(), "has no modules.json"),
        (lambda folder: (folder / "modules.json").write_text("[{}]"), "not a list of modules"),
        (lambda folder: (folder / "modules.json").write_text("{"), "modules.json cannot be read"),
        (lambda folder: (folder / "modules.json").write_text("[" * 10**5), "modules.json cannot be read"),
        (lambda folder: (folder / "modules.json").write_text("[]"), "names no module"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "weights in .bin files are not loaded",
        ),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "is an adapter"),
        (
            lambda folder: (folder / "modules.json").write_text(
                json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Transformer"}])
            ),
            "its module 1 is evil.Transformer",
        ),
        (
            lambda folder: (folder / "modules.json").write_text(
                json.dumps([{"path": "../..", "type": "sentence_transformers.models.Transformer"}])
            ),
            "leads out of the folder",
        ),
        (
            lambda folder: (folder / "modules.json").write_text(
                json.dumps([{"path": "", "type": "sentence_transformers.models.Pooling"}])
            ),
            "uses only Transformer, StaticEmbedding there",
        ),
    ],
)
def test_folder_that_cannot_be_used_is_refused_in_one_line(copy: Path, spoil: object, problem: str) -> None:
    assert callable(spoil)
    spoil(copy)

    with pytest.raises(InputError, match=problem) as caught:
        check_model_folder(copy)

    assert str(caught.value).startswith(f"{copy}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_damaged_file_is_refused_in_one_line(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:100])

    with pytest.raises(InputError, match="cannot load this model") as caught:
        load_encoder(copy)

    assert "\n" not in str(caught.value)


def test_code_in_a_folder_is_never_run(copy: Path) -> None:
    (copy / "evil.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\nclass Evil:\n    pass\n")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Evil"}}))

    load_encoder(copy)

    assert not (copy / "ran").exists()


def test_model_that_is_not_here_cannot_be_downloaded_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(InputError, match="sentence-transformers/all-MiniLM-L6-v2 is not on this machine") as caught:
        model_folder("all-MiniLM-L6-v2", local_files_only=True)

    assert "\n" not in str(caught.value)


def test_folder_in_the_place_of_a_name_is_not_taken_for_a_model_on_hugging_face(
    static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(static.parent)
    with pytest.raises(InputError) as caught:
        networks.facts(f"sentence-transformers/{static.name}")

    assert str(caught.value) == (
        f"there is a model in the folder {static.name} here: write sentence-transformers/./{static.name} for it, or"
        f" sentence-transformers/sentence-transformers/{static.name} for the model on Hugging Face"
    )
