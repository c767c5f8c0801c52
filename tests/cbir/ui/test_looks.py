"""In a real browser: looking closely at a result, the crop, photos from anywhere, and the map."""

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
    results,
    serious,
    tiles,
    title,
    upload,
)

pytestmark = MARKS
WINDOWS = pytest.mark.parametrize("window", [WIDE, PHONE], ids=["desktop", "phone"])


def place(page):
    """Of the result that is looked at, among all."""
    return page.locator("#look h2 + p")


def picture(page, figure):
    """What is to be seen of the query or the item that is looked at."""
    return page.locator(f"#look .{figure} .picture > :not(.heat)")


@LOOKS
def test_a_result_opens_large_beside_the_query(visit, photo, device, theme, locale):
    page = visit(f"?__theme={theme}", locale=locale, **(PHONE if device == "phone" else WIDE))
    upload(page, photo)
    results(page).nth(1).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("link", name=re.compile("Search with this|Buscar com esta"))).to_be_focused()
    expect(dialog.locator(".explanation")).to_be_visible()
    for figure in ("query", "item"):
        box = picture(page, figure).bounding_box()
        assert min(box["width"], box["height"]) > 250
    # The photo is as it is, and nothing white is around it.
    assert picture(page, "query").get_attribute("src").endswith(page.locator("#line img").get_attribute("src"))
    transparent = "rgba(0, 0, 0, 0)"
    for part in ("figure", ".picture", ".picture > *"):
        for element in page.locator(f"#look {part}").all():
            assert element.evaluate("one => getComputedStyle(one).backgroundColor") == transparent
    heat = dialog.get_by_role("button", name=re.compile("Heat map|Mapa de calor"))
    expect(page.locator("#look .heat")).to_have_count(2)
    expect(page.locator("#look .heat").first).to_be_hidden()
    heat.click()
    expect(page.locator("#look .heat").first).to_be_visible()
    expect(picture(page, "item")).to_be_hidden()
    assert serious(page) == []


def test_keys_lead_from_result_to_result_and_back(visit):
    page = visit(f"?id={SHIRT}")
    results(page).nth(10).focus()
    page.keyboard.press("Enter")
    expect(place(page)).to_contain_text("11 / 12")
    for key, shown in (("ArrowRight", "12 / 12"), ("ArrowRight", "1 / 12"), ("ArrowLeft", "12 / 12")):
        page.keyboard.press(key)
        expect(place(page)).to_contain_text(shown)
    expect(page.locator("#look .explanation")).to_have_attribute(
        "data-item", results(page).last.get_attribute("data-pick")
    )
    for _ in range(8):  # within the dialog, or in the browser's own controls
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#look')")
    page.keyboard.press("Escape")
    expect(page.locator("#look")).to_be_hidden()
    expect(results(page).last).to_be_focused()


def test_buttons_lead_on_and_a_search_from_there_goes_to_its_results(visit):
    page = visit(f"?id={SHIRT}")
    results(page).first.click()
    page.get_by_role("button", name="Next").click()
    expect(place(page)).to_contain_text("2 / 12")
    page.get_by_role("button", name="Previous").click()
    expect(place(page)).to_contain_text("1 / 12")
    page.get_by_role("button", name="Next").click()
    next_id = results(page).nth(1).get_attribute("data-pick")
    page.keyboard.press("Shift+Tab")
    page.locator("#look [data-search]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#look")).to_be_hidden()
    expect(page).to_have_url(re.compile(re.escape(next_id)))
    expect(results(page).first).to_be_focused()


def test_a_result_of_words_opens_alone(visit):
    page = visit("?words=blue+shirt")
    results(page).first.click()
    expect(page.locator("#look .explanation")).to_be_visible()
    expect(page.locator("#look .item")).to_be_visible()
    expect(page.locator("#look .query")).to_be_hidden()


def test_an_error_while_looking_closely_is_said_there(visit):
    page = visit(f"?id={SHIRT}")
    results(page).first.evaluate("tile => (tile.dataset.pick = 'nobody')")
    results(page).first.click()
    expect(page.locator("#look .why")).to_contain_text("unknown id 'nobody'")


def crop_of(page):
    """The crop in the address, in percent."""
    expect(page).to_have_url(re.compile("crop="))
    return [float(number) for number in re.search(r"crop=([^&]*)", page.url)[1].replace("+", "").split(",")]


@WINDOWS
def test_a_crop_is_a_box_that_a_pointer_drags(visit, photo, window):
    page = visit(**window)
    upload(page, photo)
    whole = captions(page).all_inner_texts()
    page.get_by_role("button", name="Crop").click()
    stage = page.locator("#cropper .stage").bounding_box()

    def drag(start, end):
        page.mouse.move(*at(start))
        page.mouse.down()
        page.mouse.move(*at(end), steps=3)
        page.mouse.up()

    def at(share):
        return stage["x"] + share[0] * stage["width"], stage["y"] + share[1] * stage["height"]

    drag((0.02, 0.02), (0.5, 0.3))  # a new one
    drag((0.25, 0.15), (0.45, 0.45))  # moves it
    drag((0.7, 0.6), (0.6, 0.55))  # pulls a corner
    page.locator("#cropper [data-crop]").click()
    assert crop_of(page) == pytest.approx([22, 32, 60, 55], abs=1.5)
    expect(page.locator("#crop-frame")).to_be_visible()
    expect(captions(page)).not_to_have_text(whole)
    page.get_by_role("button", name="Crop").click()
    page.get_by_role("button", name="Whole photo").click()
    expect(captions(page)).to_have_text(whole)
    expect(page.locator("#crop-frame")).to_have_count(0)


def test_a_finger_drags_the_crop(visit, photo):
    page = visit(**PHONE)
    upload(page, photo)
    page.get_by_role("button", name="Crop").tap()
    corner = page.locator("#cropper [data-corner='2 3']").bounding_box()
    stage = page.locator("#cropper .stage").bounding_box()
    touch = page.context.new_cdp_session(page)
    x, y = corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2
    for type_, points in (
        ("touchStart", [(x, y)]),
        ("touchMove", [(x - 0.1 * stage["width"], y - 0.2 * stage["height"])]),
        ("touchEnd", []),
    ):
        where = [{"x": left, "y": top} for left, top in points]
        touch.send("Input.dispatchTouchEvent", {"type": type_, "touchPoints": where})
    page.locator("#cropper [data-crop]").click()
    assert crop_of(page) == pytest.approx([10, 10, 80, 70], abs=2)


def test_keys_move_the_crop_and_numbers_still_count(visit, photo):
    page = visit()
    upload(page, photo)
    page.get_by_role("button", name="Crop").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Bottom right corner")).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.get_by_role("button", name="Move the box").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#cropper output")).to_have_text("70 × 79 % of the photo, from 11 % across and 10 % down")
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Crop")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Search with this part").press("Enter")
    assert crop_of(page) == [10, 10, 90, 91]
    page.click("#refine > button")
    field = page.locator("#crop").get_by_role("textbox")
    expect(field).to_have_value("10, 10, 90, 91")
    field.fill("0, 0, 50, 50")
    expect(page).to_have_url(re.compile(r"crop=0,\+0,\+50,\+50"))


@pytest.fixture
def pasted():
    """Pastes a file, or a text, wherever the page has its focus."""

    def paste(page, file=None, text=None):
        content = list(file.read_bytes()) if file else None
        page.evaluate(
            """([name, content, text]) => {
                const data = new DataTransfer();
                if (content) data.items.add(new File([new Uint8Array(content)], name, {type: "image/png"}));
                if (text) data.setData("text", text);
                const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
                document.activeElement.dispatchEvent(paste);
            }""",
            [file and file.name, content, text],
        )

    return paste


def test_a_photo_is_pasted_anywhere(visit, photo, pasted):
    page = visit(f"?id={SHIRT}&k=5")
    expect(results(page)).to_have_count(5)
    pasted(page, photo)
    expect(title(page)).to_have_text("The 5 closest")
    expect(page.locator("#photo img")).to_have_attribute("src", re.compile("photo.png"))
    page.go_back()
    expect(title(page)).to_contain_text("red shirt")
    expect(page.locator("#photo")).to_be_visible()


def test_the_address_of_a_picture_is_pasted_or_typed(visit, pasted, url):
    page = visit()
    expect(page.locator("#photo")).to_contain_text(re.compile(r"or its address\s+anywhere on the page"))
    addresses = [url + tiles(page).nth(row).locator("img").get_attribute("src") for row in (0, 1)]
    ids = [tiles(page).nth(row).get_attribute("data-id") for row in (0, 1)]
    pasted(page, text=addresses[0])
    expect(page).to_have_url(re.compile(re.escape(ids[0])))
    page.locator("#words textarea, #words input").fill(addresses[1])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(ids[1])))
    expect(page.locator("#words textarea, #words input")).to_have_value("")
    page.locator("#words textarea, #words input").fill("http://127.0.0.1:1/private.png")
    page.keyboard.press("Enter")
    expect(page.locator(".toast-body")).to_contain_text("expected a public host")


@WINDOWS
def test_a_photo_is_dropped_anywhere(visit, photo, window):
    page = visit(**window)
    drop = """([content, type]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], "dropped.png", {type: "image/png"}));
        document.querySelector("#foot").dispatchEvent(
            new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
    }"""
    # As browsers do: again and again, as long as something is dragged.
    page.evaluate(f"window.dragging = setInterval(() => ({drop})([[1], 'dragover']), 50)")
    expect(page.get_by_text("Drop the photo anywhere")).to_be_visible()
    page.evaluate("clearInterval(window.dragging)")
    page.evaluate(drop, [list(photo.read_bytes()), "drop"])
    expect(page.get_by_text("Drop the photo anywhere")).to_be_hidden()
    expect(title(page)).to_have_text("The 12 closest")
    expect(page.locator("#photo img")).to_have_attribute("src", re.compile("dropped.png"))


def test_a_broken_file_empties_the_box_with_one_line(visit, tmp_path, pasted):
    page = visit()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nonsense")
    ways = (lambda file: page.set_input_files("#photo input[type=file]", file), lambda file: pasted(page, file))
    for way in ways:
        way(tmp_path / "broken.png")
        expect(page.locator(".toast-body")).to_have_count(1)
        expect(page.locator("#photo img")).to_have_count(0)
        expect(title(page)).to_have_text("From the catalogue")
        page.locator(".toast-close").click()
        expect(page.locator(".toast-body")).to_have_count(0)
    tiles(page).first.click()
    expect(title(page)).to_have_text(ANSWERED)


def test_an_upload_that_fails_is_said(visit, photo, pasted):
    page = visit()
    page.route("**/gradio_api/upload*", lambda route: route.fulfill(status=429))
    pasted(page, photo)
    expect(page.get_by_role("alert")).to_contain_text("could not be uploaded")


def open_map(page):
    page.get_by_role("tab", name=re.compile("Map")).click()
    area = page.locator("#map .area")
    expect(area.locator(".name.shown").first).to_be_visible()
    return area


@LOOKS
def test_the_map_names_its_groups_and_a_picture_leads_to_a_search(visit, device, theme, locale):
    page = visit(f"?id={SHIRT}&__theme={theme}", locale=locale, **(PHONE if device == "phone" else WIDE))
    expect(results(page)).to_have_count(12)
    area = open_map(page)
    expect(area.locator(".name.shown", has_text=re.compile("^(shirts|camisas)$"))).to_be_visible()
    background = area.evaluate("area => getComputedStyle(area).backgroundColor.match(/[0-9]+/)[0]")
    assert (int(background) < 100) == (theme == "dark")
    spot = area.evaluate(
        """(area) => {
            const {points, query} = JSON.parse(area.dataset.map);
            const away = ([x, y]) => Math.hypot(x - query[0], y - query[1]);
            const [x, y] = points.toSorted((a, b) => away(b) - away(a))[0];
            const place = (share, length) => 24 + (share / 1000) * (length - 48);
            return {x: place(x, area.clientWidth), y: place(y, area.clientHeight)};
        }"""
    )
    card = page.locator("#map .card")
    if device == "phone":  # a tap shows the picture, which is a button
        area.tap(position=spot)
        expect(card).to_contain_text(re.compile("Search with this|Buscar com esta"))
        found = card.get_attribute("data-id")
        card.tap()
    else:
        area.hover(position=spot)
        expect(card).to_be_visible()
        found = card.get_attribute("data-id")
        area.click(position=spot)
    assert found != SHIRT
    expect(page).to_have_url(re.compile(re.escape(found)))
    expect(title(page)).to_be_visible()


def test_the_map_works_by_keyboard_and_zooms(visit):
    page = visit(f"?id={SHIRT}")
    expect(results(page)).to_have_count(12)
    area = open_map(page)
    names = area.locator(".name.shown")
    n = names.count()
    area.focus()
    page.keyboard.press("ArrowRight")
    card = page.locator("#map .card")
    expect(card).to_be_visible()
    first = card.get_attribute("data-id")
    page.keyboard.press("ArrowLeft")
    expect(card).not_to_have_attribute("data-id", first)
    expect(page.locator("#map [role=status]")).to_have_text(card.locator("span").inner_text())
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(area.locator(".name.part.shown").first).to_be_visible()  # e.g. red shirts
    page.keyboard.press("0")
    expect(names).to_have_count(n)
    page.get_by_role("button", name="Zoom in").click()
    assert serious(page) == []
    chosen = card.get_attribute("data-id")
    area.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(chosen)))


def test_the_map_is_dragged_and_pinched(visit):
    page = visit(f"?id={SHIRT}", **PHONE)
    expect(results(page)).to_have_count(12)
    area = open_map(page)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def send(type_, *points):
        where = [{"x": px, "y": py, "id": index} for index, (px, py) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": type_, "touchPoints": where})

    def away():
        """How far from the middle the names are, across and down."""
        places = area.locator(".name").evaluate_all(
            "names => names.map((name) => name.style.translate.match(/[-.0-9]+/g))"
        )
        return [(float(left) - box["width"] / 2, float(top) - box["height"] / 2) for left, top in places]

    before = away()
    send("touchStart", (x - 20, y), (x + 20, y))
    send("touchMove", (x - 60, y), (x + 60, y))
    send("touchEnd")
    page.wait_for_function("document.querySelector('#map .area').style.touchAction === 'none'")
    zoomed = away()
    assert abs(zoomed[0][1] - before[0][1]) > abs(before[0][1])  # three times as far
    send("touchStart", (x, y))
    send("touchMove", (x + 30, y + 20))
    send("touchEnd")
    page.wait_for_timeout(100)
    assert (away()[0][0] - zoomed[0][0], away()[0][1] - zoomed[0][1]) == pytest.approx((30, 20), abs=1)
