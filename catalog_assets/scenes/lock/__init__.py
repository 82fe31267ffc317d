"""Lock mode ``inpaint``: a model paints around the product, and the photo's own pixels go back in.

In reading order: :mod:`canvas` (what the model is given), :mod:`find` (where its product stands and whether
that can be used), :mod:`behind` (the picture without the model's product), :mod:`relock` (the photo's pixels
in its place). Pure: arrays in, arrays and findings out.
"""
