"""The matting networks' weights: where they lie, how they get there, and the session that runs them.

Usage::

    path = weights.pull("u2net")                  # nothing to do when it is there and whole
    predict = weights.matte_session("u2net").predict
    alpha = predict(rgb)                          # float32 in [0, 1], same height and width
"""

from catalog_assets.weights.catalogue import MODELS, Model, networks
from catalog_assets.weights.choice import Runtime, runtime_for
from catalog_assets.weights.download import pull
from catalog_assets.weights.errors import WeightsError
from catalog_assets.weights.folder import existing_file, model_folder
from catalog_assets.weights.session import Predictor, matte_session

__all__ = [
    "MODELS",
    "Model",
    "Predictor",
    "Runtime",
    "WeightsError",
    "existing_file",
    "matte_session",
    "model_folder",
    "networks",
    "pull",
    "runtime_for",
]
