"""The catalog itself.

Names, classes, addresses and MD5s are torchvision's (datasets/mnist.py, cifar.py, svhn.py, stl10.py, usps.py; those of the
binary CIFAR archives stand on https://www.cs.toronto.edu/~kriz/cifar.html). Sizes and SHA-256 of the files are those of
TensorFlow Datasets (tensorflow_datasets/url_checksums). `content` was computed from the files themselves for Fashion-MNIST
and agrees between several public records for MNIST. CIFAR comes as its binary archive, which needs no unpickling.
"""

import string

from mlptui.datasets.entry import Entry, File


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DIGITS = tuple(string.digits)
FASHION = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
FASHION_ORIGIN = "https://github.com/zalandoresearch/fashion-mnist"
CIFAR_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_100 = _words(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
    forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
    mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm"""
)
MERGED = set("cijklmopsuvwxyz")  # lower case letters that EMNIST's merged splits count with their capitals
EMNIST_ALL = tuple(sorted(string.digits + string.ascii_letters))
EMNIST_MERGED = tuple(c for c in EMNIST_ALL if c not in MERGED)
UNSTATED = "not stated by its authors"


def _idx(*files: tuple[str, int, str, str, str]) -> tuple[File, ...]:
    return tuple(File(*file) for file in files)


def _emnist(split: str, title: str, classes: tuple[str, ...], train: int, test: int) -> Entry:
    return Entry(
        f"emnist-{split}",
        title,
        "emnist",
        classes,
        (1, 28, 28),
        train,
        test,
        "https://www.nist.gov/itl/products-and-services/emnist-dataset",
        UNSTATED + " (NIST)",
        (
            File(
                "gzip.zip",
                561_753_746,
                "58c8d27c78d21e728a6bc7b3cc06412e",
                "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
            ),
        ),
        ("https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"),
        key="emnist",
        notes=("one archive holds all six splits; it is kept while one of them is here",),
    )


def _made(name: str, title: str) -> Entry:
    return Entry(name, title, "generated", ("A", "B"), (2,), 2_000, 1_000, "made by mlptui", "none needed")


TABLE = (
    Entry(
        "fashion-mnist",
        "grey pictures of clothes, as hard as MNIST is easy",
        "idx",
        FASHION,
        (1, 28, 28),
        60_000,
        10_000,
        FASHION_ORIGIN,
        "MIT",
        _idx(
            (
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            (
                "train-labels-idx1-ubyte.gz",
                29_515,
                "25c81989df183df01b3e8a0aad5dffbe",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "bef4ecab320f06d8554ea6380940ec79",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "bb300cfdad3c16e7a12a480ee83cd310",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        mean=(0.28604,),
        deviation=(0.35302,),
    ),
    Entry(
        "fashion-mnist-sample",
        "a tenth of Fashion-MNIST, part of mlptui itself",
        "sample",
        FASHION,
        (1, 28, 28),
        6_000,
        1_000,
        FASHION_ORIGIN,
        "MIT",
        _idx(
            ("train-images-idx3-ubyte", 0, "", "", "4dacb9ae0024d8cb6eac80530189e031c4b5904e3489a9281c8e95feff1296da"),
            ("train-labels-idx1-ubyte", 0, "", "", "6311f7fea607f4678c715eacea0870dc5edb5b34b3ab2f8409ca781bb97ef8ad"),
            ("t10k-images-idx3-ubyte", 0, "", "", "9d91c1573b43402c83c09cce94b26fe5f8cb66c4bf33cc77b5c326066b04b725"),
            ("t10k-labels-idx1-ubyte", 0, "", "", "30699192c4682f9ba3805b2dc7460a5929cff3684e3c3da309205614845d4e8e"),
        ),
        mean=(0.28505,),
        deviation=(0.35282,),
    ),
    Entry(
        "mnist",
        "handwritten digits, the classic",
        "idx",
        DIGITS,
        (1, 28, 28),
        60_000,
        10_000,
        "http://yann.lecun.com/exdb/mnist/",
        "CC BY-SA 3.0",
        _idx(
            (
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            (
                "train-labels-idx1-ubyte.gz",
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    Entry(
        "kmnist",
        "handwritten Japanese Hiragana in the old cursive style",
        "idx",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        (1, 28, 28),
        60_000,
        10_000,
        "https://github.com/rois-codh/kmnist",
        "CC BY-SA 4.0",
        _idx(
            (
                "train-images-idx3-ubyte.gz",
                18_165_135,
                "bdb82020997e1d708af4cf47b453dcf7",
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                "",
            ),
            (
                "train-labels-idx1-ubyte.gz",
                29_497,
                "e144d726b3acfaa3e44228e80efcd344",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                "",
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                3_041_136,
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                "",
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                5_120,
                "7320c461ea6c1c855c0b718fb2a4b134",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                "",
            ),
        ),
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    ),
    Entry(
        "qmnist",
        "MNIST's digits with all 60,000 test samples found again",
        "idx",
        DIGITS,
        (1, 28, 28),
        60_000,
        60_000,
        "https://github.com/facebookresearch/qmnist",
        "BSD 3-Clause",
        (
            File("qmnist-train-images-idx3-ubyte.gz", md5="ed72d4157d28c017586c42bc6afe6370"),
            File("qmnist-train-labels-idx2-int.gz", md5="0058f8dd561b90ffdd0f734c6a30e5e4"),
            File("qmnist-test-images-idx3-ubyte.gz", md5="1394631089c404de565df7b7aeaf9412"),
            File("qmnist-test-labels-idx2-int.gz", md5="5b5b05890a5e13444e108efe57b788aa"),
        ),
        ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
    ),
    _emnist("balanced", "handwritten digits and letters, as many of each", EMNIST_MERGED, 112_800, 18_800),
    _emnist("byclass", "handwritten digits and letters, capitals apart", EMNIST_ALL, 697_932, 116_323),
    _emnist("bymerge", "handwritten digits and letters, alike capitals merged", EMNIST_MERGED, 697_932, 116_323),
    _emnist("letters", "handwritten letters, capitals merged with small ones", tuple(string.ascii_lowercase), 124_800, 20_800),
    _emnist("digits", "handwritten digits, four times as many as MNIST", DIGITS, 240_000, 40_000),
    _emnist("mnist", "MNIST's digits, cut out in EMNIST's way", DIGITS, 60_000, 10_000),
    Entry(
        "usps",
        "digits from envelopes of the US postal service",
        "libsvm",
        DIGITS,
        (1, 16, 16),
        7_291,
        2_007,
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps",
        UNSTATED,
        (
            File("usps.bz2", md5="ec16c51db3855ca6c91edd34d0e9b197"),
            File("usps.t.bz2", md5="8ea070ee2aca1ac39742fdd1ef5ed118"),
        ),
        ("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",),
    ),
    Entry(
        "cifar-10",
        "small colour photographs of animals and vehicles",
        "cifar-10",
        CIFAR_10,
        (3, 32, 32),
        50_000,
        10_000,
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        UNSTATED,
        (
            File(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c32a1d4ab5d03f1284b67883e8d87530",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
    Entry(
        "cifar-100",
        "small colour photographs of a hundred kinds",
        "cifar-100",
        CIFAR_100,
        (3, 32, 32),
        50_000,
        10_000,
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        UNSTATED,
        (
            File(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "03b5dce01913d631647c71ecec9e9cb8",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
        ),
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
    Entry(
        "svhn",
        "house numbers from photographs of streets, one digit each",
        "svhn",
        DIGITS,
        (3, 32, 32),
        73_257,
        26_032,
        "http://ufldl.stanford.edu/housenumbers/",
        "for non-commercial use only",
        (
            File(
                "train_32x32.mat",
                182_040_794,
                "e26dedcc434d2e4c54c9b2d4a06d8373",
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            ),
            File(
                "test_32x32.mat",
                64_275_384,
                "eb5a983be6a315427106f1b164d9cef3",
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ),
        ("http://ufldl.stanford.edu/housenumbers/",),
    ),
    Entry(
        "stl-10",
        "colour photographs of animals and vehicles, 96x96, few of them labelled",
        "stl-10",
        ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        (3, 96, 96),
        5_000,
        8_000,
        "https://cs.stanford.edu/~acoates/stl10/",
        UNSTATED,
        (
            File(
                "stl10_binary.tar.gz",
                2_640_397_119,
                "91f7769df0f17e558f3565bffb0c7dfb",
                "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
            ),
        ),
        ("http://ai.stanford.edu/~acoates/stl10/",),
        notes=("the 100,000 unlabelled pictures of the archive are not used",),
    ),
    _made("blobs", "two clouds of points, one line apart"),
    _made("moons", "two half moons that reach into each other"),
    _made("spirals", "two spirals wound around each other"),
    _made("xor", "four squares, like ones across from each other"),
)
