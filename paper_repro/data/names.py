"""The data sets known by name: a literal table, readable without importing torch or numpy.

A name always means the same images. Per set:

- ``name``: how figures and tables call it (absent: its key, with spaces);
- ``module``: where ``read`` stands; ``line``: what it is, with its source;
- ``shape``: one image, [C, H, W], or one real vector, [1, 1, D]; ``counts``: images in train,
  validation, test (empty: as many as the user's folder holds, ``most`` where it is complete);
  ``classes``: how many classes its images have labels of (absent: none); ``conditional``: each
  image comes with a picture of its shape (absent: False);
- ``folder``: the folder that a data directory must hold, in torchvision's layout ("" for sets
  embedded in the package or its dependencies); ``holds``: what must lie in it, with the bytes
  of each file (0: any, or a folder), idx files perhaps as .gz (absent: any images);
- ``fingerprint``: `catalogue.fingerprint` of the complete set ("" where we cannot vouch for one);
- ``showable``: False where the terms of the images do not clearly allow publishing them, so that
  no figure shows an original (absent: True). `may_be_shown` answers it.
"""

from __future__ import annotations

import math
from typing import Any

CHANGES_NO_NUMBER = True

DATASETS: dict[str, dict[str, Any]] = {
    "digits": {
        "module": "paper_repro.data.embedded",
        "line": "handwritten digits, 8x8, 17 grey levels (Alpaydin & Kaynak 1998, optdigits; "
        "scikit-learn)",
        "shape": [1, 8, 8],
        "counts": [1347, 150, 300],
        "classes": 10,
        "folder": "",
        "fingerprint": "14c158260126cd16b9149ff8f9a909147f666681d49b338d91a0601ad3a0d381",
    },
    "digits_few": {
        "name": "64 digits",
        "module": "paper_repro.data.few",
        "line": "digits, of which the first 64 are trained on (ours)",
        "shape": [1, 8, 8],
        "counts": [64, 150, 300],
        "folder": "",
        "fingerprint": "3ce5b64c4a91eaf0ccd5bcf0e1d10552390c7745d3359dda3f483c908eea6d19",
    },
    "patches": {
        "module": "paper_repro.data.embedded",
        "line": "12x12 grey patches of scikit-learn's two sample photographs (china, flower), "
        "split by region",
        "shape": [1, 12, 12],
        "counts": [7840, 784, 1568],
        "folder": "",
        "fingerprint": "aebcfbf226a3340687d4fbdbf7d869dcdbfe2bb459bd0bb2f8e6afd0369a75d3",
    },
    "sprites": {
        "module": "paper_repro.data.procedural",
        "line": "one soft-edged shape of three, 4 continuous latents (ours, after dSprites, "
        "Matthey et al. 2017)",
        "shape": [1, 16, 16],
        "counts": [8000, 1000, 1000],
        "folder": "",
        "fingerprint": "4d51d0778f136ebf99cc5020318b77ace7cf7989cc06a341bb7d998f54d1f2c7",
    },
    "faces": {
        "module": "paper_repro.data.procedural",
        "line": "drawn faces with 8 continuous latents (ours, after the cartoon faces of "
        "Chernoff 1973)",
        "shape": [1, 24, 24],
        "counts": [8000, 1000, 1000],
        "folder": "",
        "fingerprint": "c074b9f67a7946f0c6f99cc369dc8a5229a17fbe08682f5d47afdda1b3b49704",
    },
    "manifold": {
        "module": "paper_repro.data.procedural",
        "line": "a smooth random map of 5 Gaussian latents into 64 pixels (ours, in the manner "
        "of Dai & Wipf 2019)",
        "shape": [1, 8, 8],
        "counts": [8000, 1000, 1000],
        "folder": "",
        "fingerprint": "5418ee1b22af1e87b5f8dcaf1392e3aa272d3e1740211ae94a827281e9058d91",
    },
    "tanh_manifold": {
        "name": "manifold, noise 0.1",
        "module": "paper_repro.data.vectors",
        "line": "vectors: tanh map of 5 Gaussian latents into R^100, noise 0.1 (ours, after Dai & "
        "Wipf 2019)",
        "shape": [1, 1, 100],
        "counts": [5000, 500, 2000],
        "folder": "",
        "fingerprint": "48177d112474793002a05f9a9ed2e410a00dbaa5a50c3b7c7d5abaf62d351257",
    },
    "tanh_manifold_clean": {
        "name": "manifold, noise 0",
        "module": "paper_repro.data.vectors",
        "line": "vectors: tanh_manifold without noise",
        "shape": [1, 1, 100],
        "counts": [5000, 500, 2000],
        "folder": "",
        "fingerprint": "422c01af445c6db953aa4c778c9c5fc1e4cdd5268cdadbfd32a4df05709cc401",
    },
    "tanh_manifold_noisy": {
        "name": "manifold, noise 0.2",
        "module": "paper_repro.data.vectors",
        "line": "vectors: tanh_manifold with noise 0.2",
        "shape": [1, 1, 100],
        "counts": [5000, 500, 2000],
        "folder": "",
        "fingerprint": "83a617a2c4121febce7f784f1f6a07d35a7f2a709a734ade97b4aa59326f3234",
    },
    "curve": {
        "module": "paper_repro.data.vectors",
        "line": "vectors: three quarters of a circle in a plane of R^20 (ours, after Figure 1 of "
        "Dai et al. 2021)",
        "shape": [1, 1, 20],
        "counts": [2000, 200, 1000],
        "folder": "",
        "fingerprint": "2907acaf2d81a9a73080c75777a5756699bda03b4bed35cacf4938528e361daf",
    },
    "curve_outliers": {
        "module": "paper_repro.data.vectors",
        "line": "vectors: points of the plane of curve that are far from it",
        "shape": [1, 1, 20],
        "counts": [2000, 200, 1000],
        "folder": "",
        "fingerprint": "f22f7166a200c5d582e920a62fc223b84273a4389748b93e29f7b5c635e2fd12",
    },
    "mnist": {
        "name": "MNIST",
        "module": "paper_repro.data.real",
        "line": "MNIST, split 59,600/400/10,000 as Burda et al. 2016 (LeCun et al. 1998)",
        "shape": [1, 28, 28],
        "counts": [59600, 400, 10000],
        "classes": 10,
        "folder": "MNIST/raw",
        "holds": {"train-images-idx3-ubyte": 47040016, "t10k-images-idx3-ubyte": 7840016},
        "fingerprint": "99a292dbca9a87f38ec67516309a2bda0705075f8949f173839699098d991212",
    },
    "mnist_few": {
        "name": "64 of MNIST",
        "module": "paper_repro.data.few",
        "line": "MNIST, of which the first 64 images are trained on (ours)",
        "shape": [1, 28, 28],
        "counts": [64, 400, 10000],
        "folder": "MNIST/raw",
        "holds": {"train-images-idx3-ubyte": 47040016, "t10k-images-idx3-ubyte": 7840016},
        "fingerprint": "5823e9fb93e5a97f920a32acdab8476f07bb50899872c054dafae7114a2a3c86",
    },
    "fashion_mnist": {
        "name": "Fashion-MNIST",
        "module": "paper_repro.data.real",
        "line": "Fashion-MNIST, split 59,600/400/10,000 (Xiao et al. 2017)",
        "shape": [1, 28, 28],
        "counts": [59600, 400, 10000],
        "classes": 10,
        "folder": "FashionMNIST/raw",
        "holds": {"train-images-idx3-ubyte": 47040016, "t10k-images-idx3-ubyte": 7840016},
        "fingerprint": "36ebd118313c748db32ce401bf51092d1eb1285ae7725410fee620721e838cd6",
    },
    "cifar10": {
        "name": "CIFAR-10",
        "module": "paper_repro.data.real",
        "line": "CIFAR-10, split 45,000/5,000/10,000 (Krizhevsky 2009)",
        "shape": [3, 32, 32],
        "counts": [45000, 5000, 10000],
        "classes": 10,
        "folder": "cifar-10-batches-py",
        "holds": {
            "data_batch_1": 31035704,
            "data_batch_2": 31035320,
            "data_batch_3": 31035999,
            "data_batch_4": 31035696,
            "data_batch_5": 31035623,
            "test_batch": 31035526,
        },
        "fingerprint": "a3c8b67c2b75ae896eb472d354ae79d8ee62b23f9efec5cac7611c66657fa1f9",
    },
    "color_digits": {
        "name": "Color-digits",
        "module": "paper_repro.data.derived",
        "line": "digits, each in one random colour on black (ours)",
        "shape": [3, 8, 8],
        "counts": [1347, 150, 300],
        "classes": 10,
        "folder": "",
        "fingerprint": "b3e0a69dbc7d4f660b09d9e5366038789e070461ea5706be39621fae41d26af6",
    },
    "digits_rotate": {
        "name": "digits-rotate",
        "module": "paper_repro.data.derived",
        "line": "digits rotated by b, given the same digit rotated by a, and b (ours)",
        "shape": [1, 8, 8],
        "counts": [1347, 150, 300],
        "classes": 10,
        "conditional": True,
        "folder": "",
        "fingerprint": "cf44b1ab8f6839d210e290cf95b8cc57dbc215ceec5452d7b17c00f5dd365e31",
    },
    "color_mnist": {
        "name": "Color-MNIST",
        "module": "paper_repro.data.derived",
        "line": "MNIST, each digit in one random colour on black (ours)",
        "shape": [3, 28, 28],
        "counts": [59600, 400, 10000],
        "classes": 10,
        "folder": "MNIST/raw",
        "holds": {"train-images-idx3-ubyte": 47040016, "t10k-images-idx3-ubyte": 7840016},
        "fingerprint": "c0ce6f5117e0973d13aa804bdebdd4a2adc3838a6604d141a70dbb84caab7926",
    },
    "mnist_rotate": {
        "name": "MNIST-rotate",
        "module": "paper_repro.data.derived",
        "line": "MNIST rotated by b, given the same digit rotated by a, and b (ours)",
        "shape": [1, 28, 28],
        "counts": [59600, 400, 10000],
        "classes": 10,
        "conditional": True,
        "folder": "MNIST/raw",
        "holds": {"train-images-idx3-ubyte": 47040016, "t10k-images-idx3-ubyte": 7840016},
        "fingerprint": "410a13eaa47a54ca7fd8532822f96d904f97d778b7dd5d80ffca6e70b1a2d4fa",
    },
    "omniglot": {
        "name": "Omniglot",
        "module": "paper_repro.data.image_folders",
        "line": "Omniglot at 28x28, background/evaluation split, not Burda's (Lake et al. 2015)",
        "shape": [1, 28, 28],
        "counts": [17935, 1345, 13180],
        "folder": "omniglot-py",
        "holds": {"images_background": 0, "images_evaluation": 0},
        "fingerprint": "",
    },
    "celeba": {
        "name": "CelebA 64x64",
        "module": "paper_repro.data.celeba",
        "line": "CelebA, official split, centre crop 160 resized to 64x64 (Liu et al. 2015)",
        "shape": [3, 64, 64],
        "counts": [162770, 19867, 19962],
        "folder": "celeba",
        "holds": {"list_eval_partition.txt": 0, "img_align_celeba": 0},
        "fingerprint": "",
        "showable": False,
    },
    "celeba128": {
        "name": "CelebA 128x128",
        "module": "paper_repro.data.celeba",
        "line": "CelebA, official split, 128x128 crop of Dai & Wipf 2019, not resized; 10 GB",
        "shape": [3, 128, 128],
        "counts": [162770, 19867, 19962],
        "folder": "celeba",
        "holds": {"list_eval_partition.txt": 0, "img_align_celeba": 0},
        "fingerprint": "",
        "showable": False,
    },
    "celeba128_subset": {
        "name": "CelebA 128x128 (part)",
        "module": "paper_repro.data.celeba",
        "line": "any part of CelebA as files or zip, cropped as celeba128, split 85/5/10 % by us; "
        "not celeba128",
        "shape": [3, 128, 128],
        "counts": [],
        "most": 202599,
        "folder": "celeba-subset",
        "fingerprint": "",
        "showable": False,
    },
    "celeba_half_64": {
        "name": "CelebA 64x64 (half)",
        "module": "paper_repro.data.celeba",
        "line": "any part of CelebA at half size (89x109) as files or zip, crop 70 resized to "
        "64x64, split 85/5/10 % by us; not celeba",
        "shape": [3, 64, 64],
        "counts": [],
        "most": 202599,
        "folder": "celeba-half",
        "fingerprint": "",
        "showable": False,
    },
    "celeba_half_32": {
        "name": "CelebA 32x32 (half)",
        "module": "paper_repro.data.celeba_small",
        "line": "celeba_half_64, every 2x2 pixels as their mean; not celeba",
        "shape": [3, 32, 32],
        "counts": [],
        "most": 202599,
        "folder": "celeba-half",
        "fingerprint": "",
        "showable": False,
    },
    "imagenet32": {
        "name": "ImageNet 32x32",
        "module": "paper_repro.data.image_folders",
        "line": "an image folder with train/ and val/, box-resized to 32x32 "
        "(after Chrabaszcz et al. 2017)",
        "shape": [3, 32, 32],
        "counts": [],
        "most": 1331167,
        "folder": "imagenet32",
        "holds": {"train": 0, "val": 0},
        "fingerprint": "",
        "showable": False,
    },
    "tiny_imagenet32": {
        "name": "Tiny-ImageNet 32x32",
        "module": "paper_repro.data.image_folders",
        "line": "Tiny-ImageNet-200 (Le & Yang 2015) or a part of it, box-resized from 64x64; not "
        "the ImageNet 32x32 benchmark",
        "shape": [3, 32, 32],
        "counts": [],
        "most": 110000,
        "folder": "tiny-imagenet-200",
        "holds": {"train": 0, "val": 0},
        "fingerprint": "",
        "showable": False,
    },
}


def shown(name: str) -> str:
    """How figures and tables call data set `name`, known or not."""
    return str(DATASETS.get(name, {}).get("name", name.replace("_", " ")))


def holds_vectors(name: str) -> bool:
    """Whether data set `name` is known to hold real vectors, not images."""
    return bool(DATASETS.get(name, {}).get("module") == "paper_repro.data.vectors")


def may_be_shown(name: str) -> bool:
    """Whether images of data set `name` may stand in a figure."""
    return bool(DATASETS[name].get("showable", True))


def memory_mib(name: str) -> float:
    """MiB of all images of data set `name` as a run holds them: uint8 pixels (vectors: float32), of
    all splits, with their conditions. Where the user's folder decides how many there are, those of
    the complete set. Reading takes up to as much again for a moment, as splits are cut from one
    array; the imports of a training job come on top. KeyError for an unknown name."""
    entry = DATASETS[name]
    images = sum(entry["counts"]) or entry["most"]
    each = math.prod(entry["shape"]) * (4 if holds_vectors(name) else 1)
    return images * each * (2 if entry.get("conditional") else 1) / 2**20
