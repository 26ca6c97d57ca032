"""Where each network comes from."""

from typing import NamedTuple


class Source(NamedTuple):
    """A network as its paper prints it, the paper, and the licence of the reference's code.

    The code here is written anew; the licence is that of the implementation whose outputs the
    tests compare with.
    """

    title: str
    paper: str
    reference_licence: str


SOURCES: dict[str, Source] = {
    "resunet": Source(
        "ResUNet with ESM, ASSM, AFM", "Hu et al., Pattern Recognition 2022", "GPL-3.0"
    ),
    "unet": Source("U-Net", "Ronneberger et al., MICCAI 2015", "GPL-3.0"),
    "unetplusplus": Source(
        "UNet++", "Zhou et al., IEEE TMI 2020", "MIT; the authors': non-commercial"
    ),
    "attention_unet": Source(
        "Attention U-Net", "Oktay et al., MIDL 2018", "none; the authors' (3-D): MIT"
    ),
    "fcn8s": Source("FCN-8s", "Long et al., CVPR 2015", "MIT"),
    "pspnet": Source("PSPNet", "Zhao et al., CVPR 2017", "MIT"),
    "deeplabv3": Source("DeepLabV3", "Chen et al., arXiv 1706.05587, 2017", "MIT"),
    "deeplabv3plus": Source("DeepLabV3+", "Chen et al., ECCV 2018", "MIT"),
    "danet": Source("DANet", "Fu et al., CVPR 2019", "MIT"),
    "acfnet": Source("ACFNet", "Zhang et al., ICCV 2019", "none; not the authors'"),
    "cenet": Source("CE-Net", "Gu et al., IEEE TMI 2019", "none"),
    "cpfnet": Source("CPFNet", "Feng et al., IEEE TMI 2020", "MIT"),
    "f3net": Source("F3Net", "Wei et al., AAAI 2020", "MIT"),
    "scrn": Source("SCRN", "Wu et al., ICCV 2019", "none"),
    "infnet": Source("Inf-Net", "Fan et al., IEEE TMI 2020", "MIT; its Res2Net: CC BY-NC-SA 4.0"),
    "ffrnet": Source("FFR-Net", "Wang et al., IEEE TNNLS 2022", "none"),
    "coeranet": Source("Co-ERA-Net", "He et al., Bioengineering 2023", "none"),
    "smp": Source("smp: Unet, ResNet-34", "Iakubovskii, GitHub 2019", "MIT"),
}
