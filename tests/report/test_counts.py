from oddlens.report.counts import came_in_words, cause_counts, duplicate_counts, heading, in_words, split


def test_causes_are_counted_most_frequent_first_and_by_name_where_equal():
    assert cause_counts(("blurred, dark", "", "dark", "blank")) == {"dark": 2, "blank": 1, "blurred": 1}
    assert cause_counts(None) == cause_counts(("", "")) == {}


def test_an_image_in_two_groups_is_one_image():
    assert duplicate_counts([[0, 1], [1, 2]]) == {"groups": 2, "images": 3}
    assert duplicate_counts([]) == {"groups": 0, "images": 0}


def test_a_cause_that_nobody_has_headed_is_headed_by_its_name():
    assert (heading("near"), heading("blurred"), heading("from a plugin")) == (
        "Near duplicate", "Blurred", "From a plugin")
    assert split("copy, near") == ("copy", "near")


def test_nothing_to_count_is_not_said():
    assert in_words({}, {"groups": 0, "images": 0}) == []
    assert in_words({"near": 1200, "dark": 1}, {"groups": 600, "images": 1200}) == [
        "Simple causes: near duplicate 1,200, dark 1.", "Copies and near duplicates: 1,200 images in 600 groups."]


def test_what_joined_a_run_is_told_only_where_something_could():
    assert came_in_words(None) == []
    came = {"new": 1200, "changed": 1, "gone": 0, "statement": "No drift."}
    assert came_in_words(came) == ["1,200 new images, 1 that changed, 0 that are gone and stay in the run.",
                                   "No drift."]
