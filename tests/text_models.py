"""Small models of sentence-transformers, which tests write into a folder without a download."""

from importlib.util import find_spec
from pathlib import Path

import pytest

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "ran", "on", "a", "mat", "far", "!")


def write_static_model(folder: Path) -> Path:
    """A real model that the package wordllama ships: an embedding of 256 values for each of 32,000 tokens."""
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        pytest.skip("wordllama is not installed")
    from safetensors.torch import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    place = Path(spec.origin).parent
    weights = load_file(place / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(place / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights.float())], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def write_tiny_bert(folder: Path, *, longest: int = 16, pooling: str = "mean", dropout: float = 0.1) -> Path:
    """A BERT with two small layers and random weights, which knows `WORDS`, with pooling and normalization."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel, BertTokenizerFast

    parts = folder.with_name(f"{folder.name}-parts")
    parts.mkdir(parents=True)
    (parts / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(parts / "vocab.txt"), model_max_length=longest).save_pretrained(parts)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=longest,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(parts)
    reader = Transformer(str(parts), model_kwargs={"local_files_only": True})
    model = SentenceTransformer(modules=[reader, Pooling(8, pooling_mode=pooling), Normalize()], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder
