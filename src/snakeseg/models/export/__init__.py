"""Models as packages that others can use: bioimage.io, ONNX, TorchScript, MONAI."""
