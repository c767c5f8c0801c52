"""The page in a real browser: main paths, keyboard, phone, languages, accessibility, and no request to other hosts.

Needs Chromium or Chrome; without one these tests are skipped, unless CBIR_REQUIRE_BROWSER says that they must run.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.cbir.ui.browser import (
    ANSWERED,
    LOOKS,
    MARKS,
    PHONE,
    SHIRT,
    WIDE,
    captions,
    choose,
    results,
    serious,
    tiles,
    title,
    upload,
)
from tests.conftest import toy_photo

pytestmark = MARKS


def test_an_upload_finds_garments_that_are_named_by_what_they_show_and_rank(visit, photo):
    page = visit()
    upload(page, photo)
    expect(captions(page).first).to_contain_text("red shirt")
    names = [tile.get_attribute("aria-label") for tile in tiles(page).all()]
    assert all(
        re.match(rf"\w+ \w+, result {n} of 12, (\d+ % alike|same picture)$", name)
        for n, name in enumerate(names, start=1)
    )


def test_a_random_photo_leads_on_by_clicks_and_the_browser_goes_back_and_forward(visit):
    page = visit()
    query = page.locator("#line img")
    page.get_by_role("button", name="Random photo").click()
    expect(title(page)).to_have_text(ANSWERED)
    first, first_query = page.url, query.get_attribute("src")
    assert "?id=" in first
    results(page).nth(1).click()
    page.locator("#look").get_by_role("link", name="Search with this").click()
    expect(page).not_to_have_url(first)
    expect(query).not_to_have_attribute("src", first_query)
    second, second_query, second_title = page.url, query.get_attribute("src"), title(page).inner_text()
    page.go_back()
    expect(page).to_have_url(first)
    expect(query).to_have_attribute("src", first_query)
    expect(page.locator("#look")).to_be_hidden()
    page.go_forward()
    expect(page).to_have_url(second)
    expect(query).to_have_attribute("src", second_query)
    expect(title(page)).to_have_text(second_title)


def test_filters_show_what_there_is_and_leave_only_that(visit):
    page = visit(f"?id={SHIRT}&k=30")
    expect(title(page)).to_have_text("The 30 closest to “red shirt”")
    choose(page, "types", "pants")
    expect(captions(page)).to_have_text([re.compile(" pants ")] * 30)
    expect(page.locator("#colors")).to_contain_text("blue (12)")
    choose(page, "colors", "blue")
    expect(captions(page)).to_have_count(12)
    expect(page).to_have_url(re.compile("types=pants&colors=blue"))


def test_a_deep_link_restores_the_search_and_reloading_keeps_it(visit):
    page = visit(f"?id={SHIRT}&method=cosine&match=type&k=5&colors=blue&also=least_similar")
    for _ in range(2):
        expect(title(page)).to_have_text("The 5 least similar to “red shirt”")
        expect(page.locator("#line p span")).to_have_text(["Cosine", "type", re.compile("108 pictures in")])
        expect(captions(page)).to_have_count(5)
        expect(page.locator("#method input:checked")).to_have_value("cosine")
        assert all(text.startswith("blue ") for text in captions(page).all_inner_texts())
        page.reload()


def test_words_and_a_swatch_search_and_stand_in_one_box(visit):
    page = visit()
    box = page.locator("#words").get_by_role("textbox")
    box.fill("camisa azul")
    box.press("Enter")
    expect(title(page)).to_have_text("The 12 closest to “camisa azul”")
    expect(page).to_have_url(re.compile("words=camisa\\+azul"))
    picked = "swatch => { swatch.value = '#c81e28'; swatch.dispatchEvent(new Event('change', {bubbles: true})); }"
    box.fill("shirt #283cbe")
    page.locator("#swatch input").evaluate(picked)
    expect(box).to_have_value("shirt #c81e28")
    expect(title(page)).to_have_text("The 12 closest to “shirt #c81e28”")
    expect(captions(page).first).to_contain_text("red shirt")


def test_a_wrong_link_says_what_is_wrong_and_the_page_still_works(visit):
    page = visit("?id=nobody")
    expect(page.locator(".toast-body")).to_contain_text("unknown id 'nobody'")
    page.get_by_role("button", name="Random photo").click()
    expect(title(page)).to_have_text(ANSWERED)


def test_the_link_can_be_copied_and_results_can_be_saved(visit, chromium):
    page = visit(f"?id={SHIRT}&k=3")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    for name, start in (("Save as CSV", "query,rank,id,"), ("Save as JSON", "{")):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        text = download.value.path().read_text(encoding="utf-8-sig")
        assert text.splitlines()[0].startswith(start)
        assert text.count("red_shirt/") >= 3


def test_all_methods_answer_side_by_side(visit, retriever):
    page = visit(f"?id={SHIRT}")
    page.get_by_role("tab", name="Compare").click()
    for method in retriever.methods:
        expect(page.locator("#compare")).to_contain_text(method.title)
    page.locator("#compare a[data-search]").nth(1).click()
    expect(page).not_to_have_url(re.compile(re.escape(SHIRT)))


@pytest.mark.parametrize("address", ["", f"?id={SHIRT}"])
def test_at_most_15_stops_stand_before_the_results(visit, address):
    page = visit(address)
    expect(tiles(page)).to_have_count(12 if address else 24)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to results")).to_be_focused()
    stops = 1
    while not page.evaluate("!!document.activeElement.closest('#results')"):
        page.keyboard.press("Tab")
        stops += 1
        assert stops < 50
    assert stops - 1 <= 15


def test_everything_works_by_keyboard(visit):
    page = visit()
    page.get_by_role("link", name="Skip to results").focus()
    page.keyboard.press("Enter")
    expect(tiles(page).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(title(page)).to_have_text(ANSWERED)
    results(page).first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#look .explanation")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#method input:checked").focus()
    page.keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile("method="))
    page.locator("#types input").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("types=shirt"))
    page.get_by_role("tab", name="Results").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")


def test_keys_and_typed_numbers_count_in_the_options(visit):
    page = visit(f"?id={SHIRT}")
    expect(captions(page)).to_have_count(12)
    page.click("#refine > button")
    page.locator("#k input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(captions(page)).to_have_count(11)
    page.locator("#k input[type=number]").fill("7")
    page.keyboard.press("Enter")
    expect(captions(page)).to_have_count(7)
    page.get_by_role("button", name="Seed").click()
    page.locator("#seed input").fill("5")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile(re.escape(SHIRT)))


SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


@LOOKS
def test_the_first_screen_shows_photo_examples_and_results_and_stays_still(visit, photo, device, theme, locale):
    page = visit(f"?__theme={theme}", script=SHIFTS, locale=locale, **(PHONE if device == "phone" else WIDE))
    for part in ("#photo", "#examples button >> nth=0", "#results .tile >> nth=0", "#results .tile >> nth=2"):
        expect(page.locator(part)).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.evaluate("document.documentElement.lang") == locale[:2]
    if device == "desktop":
        left = page.locator("#options").bounding_box()
        assert left["y"] + left["height"] <= 900
    upload(page, photo)
    assert page.evaluate("window.shift") < 0.05
    expect(title(page)).to_be_in_viewport()


@LOOKS
def test_filters_leave_the_page_where_it_is_and_an_empty_answer_shows_the_way_out(visit, device, theme, locale):
    page = visit(f"?id={SHIRT}&k=30&__theme={theme}", locale=locale, **(PHONE if device == "phone" else WIDE))
    expect(captions(page)).to_have_count(30)
    if device == "phone":
        page.locator("#line [data-sheet]").click()
        sheet = page.get_by_role("dialog", name=re.compile("^Options|^Opções"))
        expect(sheet).to_be_visible()
    before = page.evaluate("scrollY")
    choose(page, "types", "(pants|calça)")
    expect(captions(page).first).to_contain_text(re.compile("pants|calça"))
    choose(page, "colors", "(blue|azul)")
    expect(captions(page)).to_have_count(12)
    assert page.evaluate("scrollY") == before
    if device == "phone":
        page.locator("#show-results").click()
        expect(sheet).to_have_count(0)
        expect(page.locator("#line [data-sheet]")).to_contain_text("(3)")  # k, types, colors
        expect(title(page)).to_be_in_viewport()


def test_an_empty_answer_shows_the_way_out(visit):
    page = visit(f"?id={SHIRT}&types=shirt&colors=red&match=type&also=other_colors")
    expect(title(page)).to_have_text("No red shirts")
    page.get_by_role("button", name="Clear filters").click()
    expect(title(page)).to_contain_text("The 12 closest")
    expect(page).not_to_have_url(re.compile("types"))
    expect(page.locator("#types input:checked")).to_have_count(0)


@LOOKS
def test_what_the_app_saw_is_corrected_by_a_click(visit, photo, device, theme, locale):
    page = visit(f"?__theme={theme}", locale=locale, **(PHONE if device == "phone" else WIDE))
    upload(page, photo)
    expect(captions(page).first).to_contain_text(re.compile("red shirt|camisa vermelha"))
    color = page.locator(".chip", has_text=re.compile("^red|^vermelho"))
    color.click()
    choices = page.get_by_role("group", name=re.compile("correct the color|corrigir a cor"))
    expect(choices).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    expect(choices).to_be_hidden()
    color.click()
    choices.get_by_role("button", name=re.compile("^blue|^azul")).click()
    expect(captions(page).first).to_contain_text(re.compile("blue shirt|camisa azul"))
    expect(page.locator("#words textarea, #words input")).to_have_value(re.compile("blue|azul"))
    expect(page).to_have_url(re.compile("words="))
    page.locator(".chip.corrected").click()
    choices.get_by_role("button", name=re.compile("as the app|como o aplicativo")).click()
    expect(captions(page).first).to_contain_text(re.compile("red shirt|camisa vermelha"))
    expect(page).not_to_have_url(re.compile("words="))


def test_a_correction_keeps_the_photo_before_the_address_of_its_search_has_arrived(visit, photo):
    page = visit()
    page.wait_for_function("!!window.apparel")
    page.evaluate("() => { window.arrived = apparel.arrived; apparel.arrived = () => {}; }")
    upload(page, photo)
    assert not page.evaluate("history.state?.uploads")
    page.locator(".chip", has_text=re.compile("^red")).click()
    page.evaluate("() => { apparel.arrived = window.arrived; }")
    page.locator(".choices:popover-open button", has_text=re.compile("^blue")).click()
    expect(captions(page).first).to_contain_text("blue shirt")
    expect(page.locator("#photo img")).to_have_attribute("src", re.compile("photo.png"))
    expect(page).to_have_url(re.compile("words=blue"))
    assert "photo.png" in page.evaluate("history.state.uploads")


def test_what_changes_many_controls_is_one_search(visit, photo):
    page, searches = visit("?words=blue&types=shirt"), []
    expect(captions(page)).to_have_count(12)
    dependencies = page.evaluate("gradio_config.dependencies.map(({id, api_name}) => [id, api_name])")
    refresh = next(id for id, name in dependencies if name == "refresh")

    def note(request):
        if "/queue/join" in request.url and request.post_data_json["fn_index"] == refresh:
            searches.append(request)

    page.on("request", note)
    upload(page, photo)
    page.wait_for_function("history.state?.uploads")
    assert len(searches) == 1
    page.evaluate("apparel.correct('words=&color=&types=&crop=0, 0, 90, 90')")
    expect(page).to_have_url(re.compile(r"\?crop="))
    page.go_back()
    expect(page).to_have_url(re.compile("words=blue"))
    expect(page.locator(".chip.corrected")).to_be_visible()
    assert len(searches) == 3


def test_a_broken_photo_is_told_of_once_and_does_not_stay(visit, tmp_path):
    page = visit(locale="pt-BR")
    broken = tmp_path / "photo.png"
    broken.write_bytes(b"no picture")
    page.set_input_files("#photo input[type=file]", broken)
    expect(page.locator(".toast-body")).to_have_count(1)
    expect(page.locator("#photo img")).to_have_count(0)
    expect(title(page)).to_contain_text("catálogo")
    expect(page.locator(".toast-body")).not_to_contain_text("(2)")


def test_a_menu_of_a_chip_stays_open_when_the_line_is_drawn_anew(visit, photo):
    page = visit()
    upload(page, photo)
    page.locator(".chip", has_text=re.compile("^red")).click()
    menu = page.locator("#choices-color")
    expect(menu).to_be_visible()
    menu.evaluate("menu => { menu.dataset.old = ''; apparel.correct('types=shirt'); }")
    expect(page).to_have_url(re.compile("types=shirt"))
    expect(page.locator("[data-old]")).to_have_count(0)
    expect(menu).to_be_in_viewport(ratio=1)
    menu.get_by_role("button", name=re.compile("^blue")).click()
    expect(captions(page).first).to_contain_text("blue shirt")
    expect(menu).to_be_hidden()
    expect(page).to_have_url(re.compile("types=shirt"))


def test_an_example_is_searched_and_the_catalogue_shows_more(visit):
    page = visit()
    expect(tiles(page)).to_have_count(24)
    first = tiles(page).first.get_attribute("aria-label")
    page.get_by_role("button", name="More", exact=True).click()
    expect(tiles(page)).to_have_count(48)
    page.get_by_role("button", name="Shuffle").click()
    expect(tiles(page)).to_have_count(24)
    assert tiles(page).first.get_attribute("aria-label") != first
    page.get_by_role("button", name="a mug: no clothes").click()
    expect(page.locator("#photo img")).to_be_visible()
    expect(page.locator("#line img")).to_be_visible()
    expect(page.locator("#results")).to_contain_text("No link")


def test_back_and_reload_keep_an_upload(visit, photo):
    page = visit()
    upload(page, photo)
    found = captions(page).all_inner_texts()
    results(page).nth(1).click()
    page.locator("#look").get_by_role("link", name="Search with this").click()
    expect(title(page)).to_contain_text("closest to")
    page.go_back()
    expect(title(page)).to_have_text("The 12 closest")
    assert captions(page).all_inner_texts() == found
    expect(page.locator("#photo img")).to_have_attribute("src", re.compile("photo.png"))
    page.reload()
    expect(title(page)).to_have_text("The 12 closest")
    page.go_back()
    expect(title(page)).to_have_text("From the catalogue")


def test_a_new_photo_opens_the_results_from_any_tab_and_the_same_result_opens_again(visit, photo):
    page = visit()
    page.get_by_role("tab", name="How good is it?").click()
    upload(page, photo)
    expect(page.get_by_role("tab", name="Results")).to_have_attribute("aria-selected", "true")
    for _ in range(2):
        tiles(page).first.click()
        expect(page.locator("#look .explanation")).to_be_visible()
        page.locator("#look").get_by_role("button", name="Close").click()
        expect(page.locator("#look")).to_be_hidden()


def test_a_tiff_shows_its_picture(visit, tmp_path):
    page = visit()
    toy_photo("red", "shirt", 99).save(tmp_path / "photo.tif")
    upload(page, tmp_path / "photo.tif")
    page.wait_for_function("document.querySelector('#photo img').naturalWidth === 224")


def test_what_a_method_has_no_use_for_is_disabled(visit):
    page = visit(f"?id={SHIRT}&method=cosine")
    expect(tiles(page)).to_have_count(12)
    page.click("#refine > button")
    expect(page.locator("#weight input[type=range]")).to_be_disabled()
    page.get_by_role("button", name="All methods").click()
    choose(page, "method", "Attribute agreement")
    expect(page).to_have_url(re.compile("method=attribute_agreement"))
    expect(page.locator("#weight input[type=range]")).to_be_enabled()


@pytest.mark.parametrize(
    "window",
    [
        PHONE | {"viewport": {"width": 320, "height": 640}},
        {"viewport": {"width": 720, "height": 450}, "reduced_motion": "reduce"},  # 1440 x 900 at 200 %
    ],
    ids=["phone", "zoomed"],
)
def test_it_fits_small_windows(visit, window):
    page = visit(f"?id={SHIRT}", **window)
    expect(title(page)).to_contain_text("The 12 closest")
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= window["viewport"]["width"], tab.inner_text()
    if "reduced_motion" in window:
        moves = "(one) => ['transitionDuration', 'animationDuration'].map((what) => getComputedStyle(one)[what])"
        assert tiles(page).first.evaluate(moves) == ["0s", "0s"]


def test_it_speaks_portuguese(visit):
    page = visit(f"?id={SHIRT}", locale="pt-BR")
    expect(page.locator("#heading")).to_contain_text("Encontre roupas parecidas")
    expect(title(page)).to_contain_text("camisa vermelha")
    expect(page.get_by_role("button", name="Foto ao acaso")).to_be_visible()
    expect(page.locator("#match")).to_contain_text("Tipo e cor")
    expect(page.get_by_role("tab", name="Comparar")).to_be_visible()


CONTRAST_OF_BORDER = """(one) => {
    const light = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const border = getComputedStyle(one), ground = getComputedStyle(document.body).backgroundColor;
    if (border.borderTopWidth === "0px" || border.borderTopStyle === "none") return 0;
    const [low, high] = [light(border.borderTopColor), light(ground)].sort((a, b) => a - b);
    return high / low;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation(visit, theme):
    page = visit(f"?__theme={theme}")
    found = {"start": serious(page)}
    page = visit(f"?__theme={theme}&id={SHIRT}")
    expect(title(page)).to_contain_text("red shirt")
    page.click("#refine > button")
    tiles(page).first.click()
    expect(page.locator("#look .explanation")).to_be_visible()
    found["results"] = serious(page)
    page.keyboard.press("Escape")
    for part in ("#photo", "#types label", "#match label", "#random button", "#words textarea, #words input", ".chip"):
        assert page.locator(part).first.evaluate(CONTRAST_OF_BORDER) >= 3, part
    for tab in page.get_by_role("tab").all()[1:]:
        tab.click()
        found[tab.inner_text()] = serious(page)
    assert not any(found.values()), found
