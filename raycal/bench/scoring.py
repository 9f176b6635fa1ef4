"""`scoring`: compares raycal's one pass over the pool with the two passes of the obvious script.

It also compares the embeddings by frozen networks of timm with a bare loop over the same network.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images, learner, settings_of
from raycal.bench.measure import each, growth_exponent, interleaved, ratio
from raycal.bench.training import weights_of
from raycal.installed import is_installed
from raycal.networks import networks

LEAST_GAIN, LARGEST_EXPONENT, LEAST_OF_BARE_LOOP = 3.0, 1.1, 0.9
# In the small network, everything around the network takes the largest share of the time.
TIMM = ("timm/resnet18", "timm/mobilenetv3_small_050")


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of the script's passes divided by the CPU seconds of `predict`, and the growth of `predict` with the
    pool."""
    count, size = options.size(1024, 48), options.size(64, 32)
    dataset = images(options, count)
    model = learner(options, dataset, image_size=size)
    recipe = obvious.Recipe(image_size=size, batch_size=64, epochs=1, learning_rate=0.01)
    pool = obvious.PilImages(dataset.images[dataset.train_rows], dataset.train_labels, size)
    network = obvious.network(weights_of(model), dataset.num_classes, "cpu")

    def script() -> None:
        obvious.probabilities(network, pool, recipe)
        obvious.embeddings(network, pool, recipe)

    everything = np.arange(count)
    durations = interleaved({"raycal": lambda: model.predict(everything), "script": script}, options.repeats)
    setting = settings_of(model, image_size=size, count=count, arms="CPU seconds of a scoring")
    yield Figure(
        benchmark="scoring",
        name="CPU, obvious script / raycal",
        value=ratio(durations, "script", "raycal"),
        goal=Goal(">=", LEAST_GAIN),
        arms=durations,
        setting=setting | {"script": "float32, contiguous, batch 64, two passes"},
    )
    sizes = [count // 4, count // 2, count]
    seconds = [each(lambda size=size: model.predict(everything[:size])) for size in sizes]  # type: ignore[misc]
    yield Figure(
        benchmark="scoring",
        name="growth exponent with the pool",
        value=growth_exponent(sizes, seconds),
        unit="",
        goal=Goal("<=", LARGEST_EXPONENT),
        arms={str(size): [duration] for size, duration in zip(sizes, seconds, strict=True)},
        setting=setting,
    )
    if is_installed("timm"):
        for name in TIMM:
            yield _beside_timm(name, options, count, size)


def _beside_timm(name: str, options: Options, count: int, size: int) -> Figure:
    """CPU seconds of a bare loop over a network of timm, divided by the CPU seconds in which raycal computes the same
    embeddings of the same images. In the loop, images lie in memory as a tensor and are normalized and resized batch by
    batch."""
    import timm

    dataset = images(options, count)
    extractor = learner(options, dataset, network=name, image_size=size).extractor
    bare = timm.create_model(name.removeprefix("timm/"), num_classes=0).eval().to(memory_format=torch.channels_last)
    bare.load_state_dict(extractor.network.state_dict(), strict=False)  # without the head
    pixels = torch.from_numpy(dataset.images[dataset.train_rows]).permute(0, 3, 1, 2)
    facts = networks.facts(name)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (facts.mean, facts.std))
    computed: dict[str, Tensor] = {}

    @torch.inference_mode()
    def loop() -> None:
        parts = []
        for batch in pixels.split(extractor.scoring_batch):  # type: ignore[no-untyped-call]
            normalized = (batch.float() - mean) / std
            resized = functional.interpolate(normalized, size=size, mode=facts.interpolation, antialias=True)
            with extractor.device_settings.autocast():
                parts.append(bare(resized).float())
        computed["timm"] = torch.cat(parts)

    def raycal() -> None:
        computed["raycal"] = torch.from_numpy(extractor.embeddings(dataset.train_rows))

    durations = interleaved({"raycal": raycal, "timm": loop}, options.repeats)
    difference = (computed["raycal"] - computed["timm"]).abs().max() / computed["timm"].abs().max()
    return Figure(
        benchmark="scoring",
        name=f"CPU, bare loop over frozen {name} / raycal",
        value=ratio(durations, "timm", "raycal"),
        goal=Goal(">=", LEAST_OF_BARE_LOOP),
        arms=durations,
        setting={
            **extractor.device_settings.describe(),
            "network": name,
            "image_size": size,
            "count": count,
            "largest_difference": difference.item(),
            "arms": "CPU seconds of the embeddings of the pool",
        },
    )
