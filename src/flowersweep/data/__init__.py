"""Pictures: their sources, their split, and the store of decoded pictures."""

from flowersweep.data.catalogue import PICTURE_ENDINGS, Catalogue, class_root, read_folder, read_parts
from flowersweep.data.decode import decode
from flowersweep.data.download import FLOWER_PHOTOS, Archive
from flowersweep.data.fingerprint import fingerprint, possible_copies
from flowersweep.data.pixels import PixelStore, open_pixel_store, readable
from flowersweep.data.respelled import FORMS, respelled
from flowersweep.data.source import demo, flower_photos
from flowersweep.data.split import Split, balanced_split, split

__all__ = [
    "FLOWER_PHOTOS",
    "FORMS",
    "PICTURE_ENDINGS",
    "Archive",
    "Catalogue",
    "PixelStore",
    "Split",
    "balanced_split",
    "class_root",
    "decode",
    "demo",
    "fingerprint",
    "flower_photos",
    "open_pixel_store",
    "possible_copies",
    "read_folder",
    "read_parts",
    "readable",
    "respelled",
    "split",
]
