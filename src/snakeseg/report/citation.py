"""The works to cite for what a run used: networks, augmentation, losses, optimisers, scores."""

from snakeseg.report.used_settings import UsedSettings, used_settings
from snakeseg.settings import Config

# References, by the name under which this module uses them.
WORKS = {
    "unet": "Ronneberger O, Fischer P, Brox T (2015). U-Net: convolutional networks for biomedical image segmentation. "
    "MICCAI 2015, LNCS 9351, 234-241.",
    "fcn": "Long J, Shelhamer E, Darrell T (2015). Fully convolutional networks for semantic segmentation. CVPR 2015, "
    "3431-3440.",
    "vgg": "Simonyan K, Zisserman A (2015). Very deep convolutional networks for large-scale image recognition. "
    "ICLR 2015.",
    "context": "Yu F, Koltun V (2016). Multi-scale context aggregation by dilated convolutions. ICLR 2016.",
    "dynunet": "Isensee F, Jaeger PF, Kohl SAA, Petersen J, Maier-Hein KH (2021). nnU-Net: a self-configuring method "
    "for deep learning-based biomedical image segmentation. Nature Methods 18, 203-211.",
    "segresnet": "Myronenko A (2018). 3D MRI brain tumor segmentation using autoencoder regularization. BrainLes 2018, "
    "LNCS 11384, 311-320.",
    "monai": "Cardoso MJ et al. (2022). MONAI: an open-source framework for deep learning in healthcare. "
    "arXiv:2211.02701.",
    "dice": "Milletari F, Navab N, Ahmadi SA (2016). V-Net: fully convolutional neural networks for volumetric medical "
    "image segmentation. 3DV 2016, 565-571.",
    "adamw": "Loshchilov I, Hutter F (2019). Decoupled weight decay regularization. ICLR 2019.",
    "pytorch": "Paszke A et al. (2019). PyTorch: an imperative style, high-performance deep learning library. "
    "NeurIPS 2019.",
    "snakemake": "Mölder F et al. (2021). Sustainable data analysis with Snakemake. F1000Research 10, 33.",
    "ap": "Schmidt U, Weigert M, Broaddus C, Myers G (2018). Cell detection with star-convex polygons. MICCAI 2018, "
    "LNCS 11071, 265-273.",
    "rand": "Arganda-Carreras I et al. (2015). Crowdsourcing the creation of image segmentation algorithms for "
    "connectomics. Frontiers in Neuroanatomy 9, 142.",
}
# Works to cite for each network.
NETWORK_WORKS = {
    "unet": ("unet",), "fcn32s": ("fcn", "vgg"), "fcn16s": ("fcn", "vgg"), "fcn8s": ("fcn", "vgg"),
    "context": ("context",), "dynunet": ("dynunet", "monai"), "segresnet": ("segresnet", "monai"),
}  # fmt: skip


def works_to_cite(models: dict[str, dict], config: Config, metric: str) -> list[str]:
    """Return the references for the networks, augmentation, losses, optimisers and scores of a run.

    Parameters
    ----------
    models : dict
        Contents of model.json of each experiment's first model, by experiment.
    config : Config
        The config of the run.
    metric : str
        The score by which images are ranked.

    Returns
    -------
    list of str
        References, without duplicates.
    """
    used = [used_settings(name, model, config) for name, model in models.items()]
    names = [work for settings in used for work in _works_of(settings)]
    names += ["rand" if metric == "adapted_rand_error" else "ap"] * (config.labels.kind != "semantic")
    return [WORKS[name] for name in dict.fromkeys([*names, "pytorch", "snakemake"])]


def _works_of(used: UsedSettings) -> list[str]:
    """Return the names in `WORKS` of what one experiment used."""
    names = list(NETWORK_WORKS[used.network.name])
    if used.has_copies or used.is_deformed_online or used.is_weighted_towards_borders:
        names.append("unet")  # elastic deformation and the border-aware loss
    if used.loss.name == "dice":
        names += ["dice", "monai"]
    if used.train.optimiser == "adamw":
        names.append("adamw")
    return names
