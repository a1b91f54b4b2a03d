import pytest

from oddlens.errors import OptionError
from oddlens.options import require_numbers


class Thing:
    def __init__(self, share=0.5, k=3, name="x", whiten=True, most=None):
        self.share, self.k, self.name, self.whiten, self.most = share, k, name, whiten, most


def test_what_is_a_number_by_default_must_be_one():
    require_numbers(Thing(share=1, k=2.5, name=7, whiten="yes", most="all"))
    with pytest.raises(OptionError, match="k must be a number, got 'three'"):
        require_numbers(Thing(k="three"))
    with pytest.raises(OptionError, match="share must be a number, got None"):
        require_numbers(Thing(share=None))


def test_an_option_that_may_be_several_numbers_is_left_to_its_owner():
    require_numbers(Thing(k=(3, 5)), besides={"k"})
    with pytest.raises(OptionError, match="share"):
        require_numbers(Thing(k=(3, 5), share="half"), besides={"k"})
