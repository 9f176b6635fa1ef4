"""`input`: compares batches of images that are on the device with PIL images that are converted one by one."""

from collections.abc import Iterator

import torch

from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images
from raycal.bench.measure import interleaved, ratio
from raycal.learner.device import DeviceSettings
from raycal.learner.images import DeviceImages

LEAST_GAIN = 4.0
BATCH = 64


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of torchvision's Resize, ToTensor and Normalize, divided by the CPU seconds that raycal takes for the
    same images."""
    count, size = options.size(4096, 128), 64
    dataset = images(options, count, image_size=32)
    device_settings = DeviceSettings.choose("float32", threads=1)
    parts = [slice(begin, min(begin + BATCH, count)) for begin in range(0, count, BATCH)]
    resident = DeviceImages(dataset.images, size, device_settings)
    pil = obvious.PilImages(dataset.images[dataset.train_rows], dataset.train_labels, size)

    def raycal() -> None:
        for _ in resident.batches(dataset.train_rows, parts):
            pass

    def script() -> None:
        for part in parts:
            torch.stack([pil[row][0] for row in range(part.start, part.stop)])

    durations = interleaved({"raycal": raycal, "script": script}, options.repeats)
    source = dataset.images.shape[1]
    setting = {"batch": BATCH, "count": count, "dtype": "float32", "arms": f"CPU seconds, {source} to {size} px"}
    yield Figure(
        benchmark="input",
        name="CPU, PIL / raycal",
        value=ratio(durations, "script", "raycal"),
        goal=Goal(">=", LEAST_GAIN),
        arms=durations,
        setting=setting,
    )
    yield Figure(
        benchmark="input",
        name="raycal",
        value=count / sorted(durations["raycal"])[len(durations["raycal"]) // 2],
        unit="img/core-s",
        setting=setting,
    )
