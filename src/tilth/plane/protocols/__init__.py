"""The protocols that predictions are asked in. Each reads back from the prediction log what it wrote there."""

from tilth.plane.protocols.mlflow import MlflowScoring
from tilth.plane.protocols.port import Answered, Asked, Codec, Content, Written
from tilth.plane.protocols.v1 import V1
from tilth.plane.protocols.v2 import V2

MLFLOW: Codec = MlflowScoring()
KSERVE_V1: Codec = V1()
OPEN_INFERENCE: Codec = V2()
CODECS = {codec.name: codec for codec in (MLFLOW, KSERVE_V1, OPEN_INFERENCE)}

__all__ = ["CODECS", "KSERVE_V1", "MLFLOW", "OPEN_INFERENCE", "Answered", "Asked", "Codec", "Content", "Written"]
