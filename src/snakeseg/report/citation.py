"""How to cite a run: the works to cite, and a paragraph for a methods section."""

import re
from dataclasses import asdict

from snakeseg.report.comparison import SEEDED
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
NORMALISATIONS = {
    "percentile": "Intensities were scaled by the percentiles {low:g} and {high:g} of {scope}.",
    "zscore": "Intensities were scaled to mean 0 and standard deviation 1 over {scope}.",
    "none": "Intensities were not normalised.",
}
LOSSES = {
    "border": "cross entropy weighted by class and towards borders (w0 = {w0:g}, sigma = {sigma:g} pixels)",
    "plain": "cross entropy",
    "balanced": "cross entropy balanced by class",
    "sum": "cross entropy, summed over pixels",
    "dice": "cross entropy weighted by class and towards borders (w0 = {w0:g}, sigma = {sigma:g} pixels), plus Dice",
}


def works_to_cite(models: dict[str, dict], config: Config, metric: str) -> list[str]:
    """Return the references for the networks, optimisers and scores of a run.

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
    used = [work for model in models.values() for work in NETWORK_WORKS[model["network"]["name"]]]
    used += ["unet"]  # elastic deformation and the border-aware loss
    used += ["adamw"] * any(model["provenance"]["train"]["optimiser"] == "adamw" for model in models.values())
    used += ["rand" if metric == "adapted_rand_error" else "ap"] * (config.labels.kind != "semantic")
    return [WORKS[name] for name in dict.fromkeys([*used, "pytorch", "snakemake"])]


def methods_paragraph(
    models: dict[str, dict], networks: dict[str, str], config: Config, packages: dict, trained: str
) -> str:
    """Return a paragraph for a methods section: versions, data, training, prediction.

    Parameters
    ----------
    models, config
        As in `works_to_cite`.
    networks : dict
        Networks in words, by experiment.
    packages : dict
        Versions of packages, by name.
    trained : str
        Sentence about the training, from `verdict`.
    """
    elastic, prepare = config.augment, config.prepare
    scope = "each image" if prepare.scope == "image" else "all training images"
    grid = " x ".join([str(elastic.grid)] * config.spatial_dims)
    sentences = [
        f"Images were segmented with SnakeSeg {packages['snakeseg']} (PyTorch {packages['torch']}). {trained}",
        NORMALISATIONS[prepare.normalise].format(low=prepare.low, high=prepare.high, scope=scope),
        f"Training images were deformed elastically (random displacements with a standard deviation of {elastic.std:g}"
        f" pixels at {grid} control points).",
    ]
    for name, model in models.items():
        title = networks[name] if len(models) == 1 else f"{name} ({networks[name]})"
        sentences.append(f"{title}: {_training(name, model, config)}")
    return " ".join(sentences)


def _training(name: str, model: dict, config: Config) -> str:
    """Describe the training of one experiment: length, optimiser, patches, loss."""
    train = model["provenance"]["train"]
    budget = f"{train['minutes']:g} minutes" if train["minutes"] else f"{train['steps']} steps"
    loss = {**asdict(config.loss), **((config.experiments.get(re.sub(SEEDED, "", name)) or {}).get("loss") or {})}
    weigh = config.weigh
    averaged = "; predictions were averaged over rotations and flips" if model["predict"]["average"] else ""
    patch = train["patch"]
    patch = " x ".join(map(str, patch)) + " pixels" if isinstance(patch, list) else f"{patch} pixels a side"
    return (
        f"{budget} of {train['optimiser']} with a learning rate of {train['learning_rate']:g} (schedule"
        f" {train['schedule']}), batches of {train['batch']}, patches of {patch}, seed"
        f" {train['seed']}; loss:"
        f" {LOSSES[loss['name']].format(w0=weigh.w0, sigma=weigh.sigma)}{averaged}."
    )
