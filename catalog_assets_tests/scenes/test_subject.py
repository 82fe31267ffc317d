"""What is found out about a product before it is set into a scene."""

import cv2
import numpy as np

from catalog_assets.scenes.contract import ProductView, SceneRequest
from catalog_assets.scenes.subject import subject_of


def test_what_the_prompt_puts_the_product_on_is_not_the_product():
    slab = np.zeros((600, 600, 4), np.uint8)
    slab[180:420, 120:480] = (90, 90, 95, 255)
    turn = cv2.getRotationMatrix2D((300.0, 300.0), 20, 1.0)
    view = ProductView("hero", np.asarray(cv2.warpAffine(slab, turn, (600, 600)), np.uint8), "0" * 64)
    poses = {
        subject_of(
            view, SceneRequest("A1", "s", prompt, 512, 512, views=(view,), studio={"title": title})
        ).pose
        for title, prompt in [
            ("Instamatic Camera", "Instamatic Camera on a light wooden desk"),
            ("Instamatic Camera", "Instamatic Camera on pale honed limestone"),
        ]
    }
    assert {pose.posture for pose in poses} == {"lying"}
