"""What each marketplace wants of a picture, and the pictures, marks and feed rows made to fit."""
