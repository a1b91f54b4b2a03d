"""What everyone's encoder, detector or source has to hold to, as tests: the contract of ``protocols.py``.

    check_encoder(MyEncoder())
    check_detector(MyDetector(k=3))
    check_source(MySource("images.db"))

Each runs all checks of its kind and raises ``ContractError`` at the first that fails, with a sentence that says what
the contract asks and what was got. They say whether a method fits into oddlens, not whether it is any good. They fit
copies of what they are given several times: give it small settings where it learns slowly.
"""

from oddlens.testing.asking import ContractError as ContractError
from oddlens.testing.detector import check_detector as check_detector
from oddlens.testing.encoder import check_encoder as check_encoder
from oddlens.testing.source import check_source as check_source

__all__ = ["ContractError", "check_detector", "check_encoder", "check_source"]
