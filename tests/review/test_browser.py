"""The review page in a real browser, as a person uses it: keys, mouse, touch, two people, a server that is killed."""

import os
import signal
import subprocess
import sys

import pytest

from browsing import browser, checked, needs_browser, too_wide
from oddlens.review.labels import LabelStore
from runs import HOSTILE, ODD
from serving import Server, elsewhere

pytestmark = needs_browser


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def person(chromium):
    """A person with a browser of their own; what it complains of, and any dialog, is an error."""
    contexts, complaints = [], []

    def arrive(address, **options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        page.wait_for_selector("#stage, #grid, .map, .downloads, #again")
        return page

    arrive.complaints = complaints
    yield arrive
    for context in contexts:
        context.close()


def row(page):
    return page.get_attribute("#stage", "data-row")


def press(page, key):
    """Press a key and wait for another image."""
    before = row(page)
    page.wait_for_selector("#picture")
    page.evaluate("document.getElementById('picture').decode().catch(() => null)")
    page.keyboard.press(key)
    page.wait_for_selector(f'#stage:not([data-row="{before}"])')
    return before


def labels(server):
    store = LabelStore(server.folder / "review.sqlite")
    found = {name: said.label for name, said in store.current().items()}
    store.close()
    return found


def names(opened, *rows):
    return [opened.ranking.names[int(each)] for each in rows]


def serious(complaints):
    """All but a heat map that is not there or not made yet."""
    return [each for each in complaints if "404" not in each and "503" not in each]


def test_keys_label_undo_and_go_on(served, opened, person):
    page = person(served.address)
    odd, normal, skipped = press(page, "o"), press(page, "n"), press(page, "s")
    assert labels(served) == dict(zip(names(opened, odd, normal, skipped), ("odd", "normal", "skip"), strict=True))
    assert press(page, "u") not in (odd, normal, skipped)
    assert row(page) == skipped
    page.wait_for_selector("text=Taken back")
    assert len(labels(served)) == 2
    press(page, "ArrowRight")
    after = row(page)
    press(page, "ArrowLeft")
    assert row(page) == skipped != after
    press(page, "ArrowLeft")
    assert row(page) == normal, "one can go back to what one said"
    press(page, "o")
    assert labels(served) == dict(zip(names(opened, odd, normal), ("odd", "odd"), strict=True))
    assert serious(person.complaints) == []


def test_help_opens_and_closes_and_labels_nothing_meanwhile(served, person):
    page = person(served.address)
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("o")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    page.click("#help-button")
    page.wait_for_selector("dialog[open]")
    page.click("dialog button")
    assert labels(served) == {}


def test_mouse_and_reload(served, opened, person):
    page = person(served.address)
    first = row(page)
    page.click("#do-odd")
    page.wait_for_selector(f'#stage:not([data-row="{first}"])')
    second = row(page)
    page.reload()
    assert row(page) == second
    assert "1 odd found in 1 looked at" in page.inner_text(".progress")
    page.click(".strip li:last-child a")
    page.wait_for_selector(f'#stage:not([data-row="{second}"])')
    page.click("#do-undo")
    page.wait_for_selector(f'#stage[data-row="{first}"]')
    assert labels(served) == {}


def test_touch(served, opened, person):
    page = person(served.address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    first = row(page)
    page.tap("#do-normal")
    page.wait_for_selector(f'#stage:not([data-row="{first}"])')
    assert labels(served) == {names(opened, first)[0]: "normal"}
    assert too_wide(page) <= 0


def test_several_alike_in_one_stroke(served, opened, person):
    page = person(served.address)
    if page.get_attribute("#alike", "open") is None:
        page.keyboard.press("g")
    page.wait_for_selector("#alike[open]")
    boxes = page.locator("#alike input[type=checkbox]")
    for place in range(3):
        boxes.nth(place).check()
    ticked = [box.get_attribute("value") for box in page.locator("#alike input:checked").all()]
    assert len(ticked) >= 3
    press(page, "Shift+O")
    assert labels(served) == dict.fromkeys(names(opened, *ticked), "odd")
    press(page, "u")
    assert labels(served) == {}


def test_a_key_that_is_held_down_labels_once(served, person):
    page = person(served.address)
    before = row(page)
    page.keyboard.down("n")
    for _ in range(5):
        page.keyboard.down("n")  # what a browser is told while a key is held
    page.keyboard.up("n")
    page.wait_for_selector(f'#stage:not([data-row="{before}"])')
    page.wait_for_timeout(300)
    assert len(labels(served)) == 1


def test_two_people_share_the_work(served, opened, person):
    ada, ben = person(served.address), person(served.address)
    ben.click(".who summary")
    ben.fill("#who", "Ben")
    ben.click(".who button")
    ben.wait_for_selector("text=Ben")
    seen = []
    for _ in range(4):
        seen += [press(ada, "n"), press(ben, "o")]
    assert len(set(seen)) == 8
    store = LabelStore(served.folder / "review.sqlite")
    assert {said.who: said.label for said in store.history()} == {"Ada": "normal", "Ben": "odd"}
    store.close()


def test_the_grid_by_keyboard(served, opened, person):
    page = person(f"{served.address}grid")
    page.keyboard.press("ArrowRight")
    for key in ("Space", "ArrowRight", "o", "ArrowDown", "ArrowUp", "ArrowRight", "Space", "Space", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("text=12 of 12")
    order = [opened.ranking.names[each] for each in opened.ranking.order()[:50]]
    found = labels(served)
    assert [name for name in order if found[name] == "odd"] == order[:2]
    assert sum(label == "normal" for label in found.values()) == 48
    page.keyboard.press("u")
    page.wait_for_selector("text=nobody looked at")
    assert serious(person.complaints) == []


def test_the_map_leads_to_an_image(served, opened, person):
    page = person(f"{served.address}map")
    page.wait_for_selector(".map a", timeout=60_000)
    top = page.locator(".map a").last  # drawn last, so that no other lies on it
    top.hover()
    page.wait_for_selector("#peek:not([hidden])")
    assert page.inner_text("#peek figcaption") == top.get_attribute("aria-label")
    hostile = page.locator(f'.map a[data-row="{opened.row_of[HOSTILE]}"]')
    hostile.focus()
    page.wait_for_function("name => document.querySelector('#peek').innerText.includes(name)", arg=HOSTILE)
    page.keyboard.press("Enter")
    page.wait_for_selector(f'#stage[data-row="{opened.row_of[HOSTILE]}"]')


def test_a_name_that_is_markup_runs_nothing(served, opened, person):
    page = person(f"{served.address}?row={opened.row_of[HOSTILE]}")
    page.wait_for_timeout(300)
    assert page.get_attribute("#picture", "alt") == HOSTILE
    assert page.locator("img[src=x]").count() == 0
    assert serious(person.complaints) == []


def test_it_works_without_a_script(served, opened, person):
    page = person(served.address, java_script_enabled=False)
    first = row(page)
    page.click("#do-odd")
    page.wait_for_selector(f'#stage:not([data-row="{first}"])')
    assert labels(served) == {names(opened, first)[0]: "odd"}
    page.click("#do-undo")
    page.wait_for_selector("text=Is this image odd?")
    assert labels(served) == {}


def test_the_heat_map_is_shown_once_a_person_stays(served, person):
    page = person(served.address)
    page.wait_for_selector("#heat:not([hidden])", timeout=60_000)
    assert page.evaluate("document.getElementById('heat').naturalWidth") > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_have_no_accessibility_violations(served, opened, person, width, scheme):
    said = elsewhere(opened, served.folder)
    store = LabelStore(said.folder / "review.sqlite")
    for number, name in enumerate([*sorted(ODD), *opened.ranking.names[:6]]):
        store.say([name], ("odd", "normal", "skip")[number % 3], who="Ada", session="1")
    store.close()
    for place in ("", "grid", "grid?label=any", "map", "export", f"?row={opened.row_of['02.png']}&label=any"):
        page = person(served.address + place, viewport={"width": width, "height": 844}, color_scheme=scheme,
                      bypass_csp=True)
        if place == "map":
            page.wait_for_selector(".map a", timeout=60_000)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        passes, violations = checked(page)
        assert violations == [], place
        assert passes > 15
        assert too_wide(page) <= 0, place
        page.context.close()


def started(run):
    """The command itself, in a process of its own, and the address that it says."""
    process = subprocess.Popen([sys.executable, "-m", "oddlens", "review", run, "--name", "Ada"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               # A job in the background ignores interrupts, and so would the server.
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                               env={**os.environ, "PYTHONUNBUFFERED": "1"})
    return process, next(line.split()[1] for line in process.stdout if line.startswith("Open "))


def ended(process, how):
    process.send_signal(how)
    process.wait(60)
    process.stdout.close()


def test_a_server_that_is_killed_loses_nothing(run, person):
    process, address = started(run)
    try:
        page = person(address)
        rows = [press(page, key) for key in "ono"]
        waiting = row(page)
        ended(process, signal.SIGKILL)
        page.keyboard.press("o")
        page.wait_for_selector("#told.bad")
        assert "Not saved" in page.inner_text("#told")
        assert row(page) == waiting, "what was not saved is still there to be said"
    finally:
        if process.poll() is None:
            ended(process, signal.SIGKILL)
    process, address = started(run)
    try:
        again = person(address)
        assert "2 odd found in 3 looked at" in again.inner_text(".progress")
        assert row(again) not in rows
    finally:
        ended(process, signal.SIGINT)
    assert process.returncode == 0


def test_a_page_that_is_closed_loses_nothing(opened, tmp_path, person):
    run = elsewhere(opened, tmp_path)
    with Server(run) as server:
        page = person(server.address)
        press(page, "o")
        page.close()
        assert len(labels(server)) == 1
