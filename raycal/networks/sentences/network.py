"""A model of sentence-transformers with a new last layer, as a module that takes one tensor."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from raycal.errors import InputError, one_line, shortened

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_REASON_LENGTH = 200
# The number of tokens for which the cost of a text is counted.
USUAL_TOKENS = 128


class SentenceNetwork(nn.Module):
    """Maps token ids to logits. The input of the last layer, `head`, is the sentence embedding of the model.

    Parameters of the model that the embedding does not depend on, such as an unused pooler, get no gradient.

    Args:
        encoder: The model, which is changed.
        num_classes: The number of logits.

    Attributes:
        tokenize: Turns texts into token ids.
    """

    def __init__(self, encoder: "SentenceTransformer", num_classes: int) -> None:
        super().__init__()
        modules = list(encoder.children())
        self.tokenize = Tokenization(encoder)
        self._is_static = self.tokenize.is_static
        self.encoder = nn.ModuleList(modules)
        self.head = nn.Linear(int(encoder.get_embedding_dimension() or 0), num_classes)
        self._freeze_unused()

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of tokens (B, 2, L): the ids, and a mask with 1 for each token and 0 for padding at the end."""
        ids, mask = tokens.unbind(1)
        features: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "modality": "text"}
        if self._is_static:
            lengths = mask.sum(1)
            features = {"input_ids": ids[mask.bool()], "offsets": lengths.cumsum(0) - lengths}
        elif self.tokenize.prompt_length is not None:
            features["prompt_length"] = self.tokenize.prompt_length
        for module in self.encoder:
            features = module(features)
        logits: Tensor = self.head(features["sentence_embedding"].float())
        return logits

    def save_encoder(self, folder: Path) -> None:
        """Write the model without the last layer, in the form that sentence-transformers reads."""
        with _quiet():
            from sentence_transformers import SentenceTransformer

            prompt = self.tokenize.prompt
            encoder = SentenceTransformer(
                modules=list(self.encoder),
                device=str(self.head.weight.device),
                prompts={"default": prompt} if prompt else None,
                default_prompt_name="default" if prompt else None,
                local_files_only=True,
            )
            encoder.save_pretrained(str(folder), create_model_card=False)

    def _freeze_unused(self) -> None:
        """Switch off the gradient of parameters that the embedding does not depend on. Otherwise several workers would
        wait for a gradient that never comes.
        """
        self.eval()
        with torch.enable_grad():
            self(torch.ones(2, 2, 3, dtype=torch.int64)).sum().backward()
        for parameter in self.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        self.train()


class Tokenization:
    """Turns texts into the token ids of a model, cut off at the longest text that the model takes.

    Args:
        encoder: The model.

    Attributes:
        prompt: The text that the model wants in front of every text; usually empty.
        prompt_length: The number of tokens of the prompt, for models that leave them out of the mean. None if there is
            no prompt.
        is_static: Whether the model adds up an embedding for each token, without looking at other tokens.
    """

    def __init__(self, encoder: "SentenceTransformer") -> None:
        reader: Any = encoder[0]
        self._reader = reader
        self.is_static = type(self._reader).__name__ == "StaticEmbedding"
        self.prompt: str = encoder.prompts.get(encoder.default_prompt_name or "") or ""
        self.prompt_length: int | None = None
        if self.prompt:
            length = self._reader.preprocess([""], prompt=self.prompt).get("prompt_length")
            self.prompt_length = None if length is None else int(length)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""
        features = self._reader.preprocess(list(texts), prompt=self.prompt or None)
        ids: Tensor = features["input_ids"]
        if self.is_static:
            ends = [*features["offsets"].tolist()[1:], len(ids)]
            return [part.tolist() for part in ids.tensor_split(ends[:-1])] if len(texts) > 1 else [ids.tolist()]
        mask: Tensor = features["attention_mask"]
        return [row[kept].tolist() for row, kept in zip(ids, mask.bool(), strict=True)]

    @property
    def fingerprint(self) -> str:
        """A text that is the same for tokenizations that give the same ids."""
        import sentence_transformers
        import tokenizers
        import transformers

        tokenizer, versions = (
            self._reader.tokenizer,
            [one.__version__ for one in (sentence_transformers, transformers, tokenizers)],
        )
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        rules = (
            backend.to_str() if hasattr(backend, "to_str") else repr((tokenizer, sorted(tokenizer.get_vocab().items())))
        )
        longest = getattr(self._reader, "max_seq_length", None)
        return "\n".join([*versions, type(tokenizer).__name__, self.prompt, str(longest), rules])

    @property
    def max_length(self) -> int | None:
        """The number of tokens at which a text is cut off. None if there is no limit."""
        longest = getattr(self._reader, "max_seq_length", None)
        return None if longest is None or longest > 2**31 else int(longest)


def load_encoder(folder: Path) -> "SentenceTransformer":
    """The model in a folder, in float32 on the CPU. No network is used, and no code of the model is run.

    Raises:
        InputError: The library cannot load the model.
    """
    with _quiet():
        from sentence_transformers import SentenceTransformer

        try:
            encoder = SentenceTransformer(
                str(folder),
                device="cpu",
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
        except Exception as error:  # files of a model can be wrong in many ways
            reason = shortened(one_line(error), _REASON_LENGTH) or type(error).__name__
            raise InputError(f"{folder}: sentence-transformers cannot load this model ({reason})") from error
    made: SentenceTransformer = encoder.float()
    if not made.get_embedding_dimension():
        raise InputError(f"{folder}: the model does not say how long its embeddings are")
    return made


def gflop_of_text(encoder: "SentenceTransformer") -> float:
    """The multiply-adds of a text of `USUAL_TOKENS` tokens, in 10^9, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    network, counter = SentenceNetwork(encoder, 2).eval(), FlopCounterMode(display=False)
    longest = network.tokenize.max_length or USUAL_TOKENS
    with counter, torch.inference_mode():
        network(torch.ones(1, 2, min(longest, USUAL_TOKENS), dtype=torch.int64))
    return float(counter.get_total_flops()) / 2e9


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars, notes and warnings of the libraries out of raycal's output."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    try:
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
