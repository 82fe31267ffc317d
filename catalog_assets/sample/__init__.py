"""The bundled sample catalogue (Fernhill & Co, CC0): photos with ground truth, brand, plates."""
