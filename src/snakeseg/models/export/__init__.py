"""Export models as packages for bioimage.io, ONNX Runtime, TorchScript and MONAI."""
