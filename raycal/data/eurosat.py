"""EuroSAT (Helber et al. 2019): 27,000 satellite images of 64 x 64 pixels in ten classes of land use."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from raycal.data.decode import decoded_images
from raycal.data.download import Archive, download, download_root
from raycal.data.given_split import missing_classes
from raycal.data.image_dataset import DatasetInfo, ImageDataset, datasets
from raycal.data.image_folder import list_images
from raycal.data.listing import source_files
from raycal.data.split import Fraction, Rows, WithSubset, random_split
from raycal.errors import InputError

logger = logging.getLogger(__name__)

NUM_IMAGES, NUM_CLASSES, SIDE = 27_000, 10, 64
FOLDER = Path("eurosat", "2750")
ARCHIVE = Path("eurosat", "EuroSAT.zip")
ARCHIVE_MD5 = "c8fa014336c82ac7804f0398fcb19387"
ARCHIVE_URL = "https://huggingface.co/datasets/torchgeo/eurosat/resolve/main/EuroSAT.zip"


@datasets("eurosat")
@dataclass(kw_only=True)
class EuroSat(WithSubset):
    """EuroSAT (RGB) in torchvision's layout, split at random by the experiment's seed, as the paper does.

    Args:
        root: The folder with `eurosat/2750/<class>/` or the archive `eurosat/EuroSAT.zip`. None means raycal's download
            folder.
        download: Whether missing files are downloaded.
        test_fraction: The share of images in the test split; the default gives 21,600 images for training and 5,400 for
            testing.
    """

    root: str | None = None
    download: bool = True
    test_fraction: Fraction = 0.2

    def __post_init__(self) -> None:
        self._root = download_root(self.root)

    def inspect(self) -> DatasetInfo:
        """The sizes of the splits of the images on this machine or, if there are none, of the images that will be
        downloaded.
        """
        if (self._root / FOLDER).is_dir():
            listing = list_images(self._root / FOLDER)
            rows = self._rows(len(listing.files))
            return DatasetInfo(
                name="eurosat",
                num_train=len(rows.train),
                num_test=len(rows.test),
                num_classes=len(listing.class_names),
                class_names=listing.class_names,
                class_sizes=listing.class_sizes,
                notes=listing.notes,
                warnings=missing_classes(listing.labels, listing.class_names, rows, "image"),
            )
        if not self.download:
            raise InputError(
                f"eurosat: {self._root / FOLDER}: no such folder; set download: true, or root to the folder that holds"
                f" {FOLDER.as_posix()}"
            )
        rows, is_here = self._rows(NUM_IMAGES), (self._root / ARCHIVE).is_file()
        return DatasetInfo(
            name="eurosat",
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=NUM_CLASSES,
            download="" if is_here else ARCHIVE_URL,
            download_to="" if is_here else str((self._root / ARCHIVE).parent),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images, which are decoded once for all seeds, and the splits of this seed."""
        self.inspect()
        self._fetch_if_missing()
        listing = list_images(self._root / FOLDER)
        if len(listing.files) != NUM_IMAGES:
            logger.warning("%s: %d images; EuroSAT has %d", self._root / FOLDER, len(listing.files), NUM_IMAGES)
        rows = self._rows(len(listing.files))
        decoded = decoded_images(self._root / FOLDER, listing.files, size=SIDE, image_size=SIDE, content=content)
        return ImageDataset(
            images=decoded.images,
            source=source_files(listing, listing.files, decoded, self._root / FOLDER),
            labels=listing.labels,
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=listing.class_names,
        )

    def _rows(self, num_images: int) -> Rows:
        rows = random_split(num_images, test_fraction=self.test_fraction, seed=self.seed, name="eurosat")
        return self.subset(rows, "eurosat")

    def _fetch_if_missing(self) -> None:
        if not (self._root / FOLDER).is_dir():
            download(
                self._root,
                lambda: _fetch(self._root),
                name="eurosat",
                instead=f"put {ARCHIVE_URL} into {self._root / ARCHIVE.parent}, or use dataset: {{name: image_folder,"
                " root: ...}",
                archive=Archive(self._root / ARCHIVE, ARCHIVE_MD5),
            )


def _fetch(root: Path) -> None:
    """Unpack the archive into a temporary folder and rename it, because torchvision takes a half-unpacked folder for a
    complete one.

    Nothing happens if another process has already unpacked the archive.
    """
    from torchvision.datasets import EuroSAT

    if (root / FOLDER).is_dir():
        return
    staging = root / ".eurosat-partial"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        (staging / ARCHIVE).parent.mkdir(parents=True)
        if (root / ARCHIVE).is_file():
            (staging / ARCHIVE).symlink_to(root / ARCHIVE)
        EuroSAT(staging, download=True)
        (root / FOLDER).parent.mkdir(exist_ok=True)
        (staging / FOLDER).rename(root / FOLDER)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
