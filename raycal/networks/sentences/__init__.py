"""Networks of texts: the models of sentence-transformers, from Hugging Face or from a folder, with a new last layer.

The name `sentence-transformers/all-MiniLM-L6-v2` means a model on Hugging Face, of the organization of the same name
or, as in `sentence-transformers/BAAI/bge-small-en-v1.5`, of another organization. A revision may follow after an `@`. A
name that continues as a path, such as `sentence-transformers/./my-model`, means a folder of this machine, and nothing
is downloaded.

The packages sentence-transformers, transformers and torch are imported when a network of this family is built.
"""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from raycal.errors import InputError
from raycal.installed import is_installed
from raycal.networks.registry import Builder, NetworkFacts, PretrainedWeights, networks
from raycal.networks.sentences.model_folder import (
    MODULES,
    check_model_folder,
    is_folder,
    is_here,
    is_repository,
    model_folder,
    repository,
)

if TYPE_CHECKING:
    from torch import nn

FAMILY = "sentence-transformers"
HEAD = "head"
# The cost of a text of 128 tokens for all-MiniLM-L6-v2, in 10^9 multiply-adds.
USUAL_GFLOP = 1.4


@networks.family(FAMILY)
def from_sentence_transformers(rest: str) -> tuple[Builder, NetworkFacts]:
    """The function that builds a model of sentence-transformers, and the facts about the model.

    Raises:
        InputError: The package is not installed, or `rest` is neither the name of a model nor a folder with a model.
    """
    if not is_installed("sentence_transformers"):
        raise InputError("sentence-transformers is not installed: pip install 'raycal[text]'")
    if is_folder(rest):
        check_model_folder(model_folder(rest))
    elif "/" not in rest and (Path(rest) / MODULES).is_file():
        raise InputError(
            f"there is a model in the folder {rest} here: write {FAMILY}/./{rest} for it, or"
            f" {FAMILY}/{repository(rest)} for the model on Hugging Face"
        )
    elif not is_repository(rest):
        raise InputError(
            f"should continue as a name on Hugging Face, as in {FAMILY}/all-MiniLM-L6-v2, or as the path of a folder,"
            f" as in {FAMILY}/./my-model"
        )
    return partial(_build, rest), _facts(rest)


def _facts(rest: str) -> NetworkFacts:
    import sentence_transformers
    import transformers

    return NetworkFacts(
        gflop=cache(lambda _: _gflop(rest)),
        head=HEAD,
        pretrained=PretrainedWeights(
            url=f"https://huggingface.co/{repository(rest)}",
            is_here=lambda: is_here(rest),
            fetch=lambda: model_folder(rest),
            load=lambda _: _build(rest, 2).state_dict(),
            instead=f"give a folder with the model as the name, as in {FAMILY}/./my-model",
        ),
        version=f"{FAMILY} {sentence_transformers.__version__}, transformers {transformers.__version__}",
        input="texts",
    )


def _build(rest: str, num_classes: int) -> "nn.Module":
    from raycal.networks.sentences.network import SentenceNetwork, load_encoder

    return SentenceNetwork(load_encoder(model_folder(rest)), num_classes)


def _gflop(rest: str) -> float:
    """The cost of a text. If the model is not on this machine yet, this is the cost for a usual model."""
    from raycal.networks.sentences.network import gflop_of_text, load_encoder

    return gflop_of_text(load_encoder(model_folder(rest))) if is_here(rest) else USUAL_GFLOP
