"""The page: its controls, its look, and which handler each control calls."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import gradio as gr
from gradio.routes import App

from cbir.labels import LABELS
from cbir.search import Retriever
from cbir.ui import views
from cbir.ui.address import MAX_K
from cbir.ui.api import Endpoints
from cbir.ui.handlers import Handlers
from cbir.ui.texts import I18N, Words
from cbir.ui.thumbnails import Thumbnails

# Searches share one queue: embedding a photo keeps every core busy, so more at once only makes all of them slow.
SEARCHES_AT_ONCE = 2
WAITING_AT_MOST = 64
UPLOAD_LIMIT = "25mb"
UPLOADS_SWEPT_EVERY, UPLOADS_KEPT = 3600, 3 * 3600  # seconds

SEARCH_QUEUE = {"concurrency_id": "search", "concurrency_limit": SEARCHES_AT_ONCE}

SHOW_ADDRESS = "(here) => apparel.arrived(here)"
SHOW_DETAILS = "() => apparel.chosen()"


def build_demo(retriever: Retriever) -> gr.Blocks:
    """Build the page and the endpoints over one retriever."""
    thumbnails = Thumbnails(retriever.gallery)
    handlers = Handlers(retriever, thumbnails)
    words, start = Words(), handlers.start
    match_choices, method_choices, also_choices = handlers.choices(words)
    type_choices, color_choices = (handlers.filter_choices(label, start, words) for label in LABELS)
    first_items, first_line = handlers.catalogue(words, start)

    with gr.Blocks(
        title=words("title"), fill_width=True, analytics_enabled=False, delete_cache=(UPLOADS_SWEPT_EVERY, UPLOADS_KEPT)
    ) as demo:
        heading = gr.HTML(views.heading(retriever.bundle, words), elem_id="heading", padding=False)
        notices = gr.HTML(views.notices(retriever.bundle, words), elem_id="notices", padding=False)
        with gr.Row(elem_id="page"):
            with gr.Column(elem_id="query", min_width=280):
                photo = gr.Image(
                    label=I18N("photo"),
                    alt_text=words("photo_alt"),
                    placeholder=cast("str", I18N("photo_placeholder")),  # translated in the browser
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    buttons=[],
                    height=260,
                    elem_id="photo",
                )
                with gr.Row(elem_id="random"):
                    random = gr.Button(I18N("random"), min_width=120)
                    seed = gr.Number(0, label=I18N("seed"), precision=0, minimum=0, min_width=110, elem_id="seed")
                match = gr.Radio(match_choices, value=start.match, label=I18N("match"), elem_id="match")
                with gr.Group():
                    types = gr.CheckboxGroup(
                        type_choices, label=I18N("types"), visible=bool(type_choices), elem_id="types"
                    )
                    colors = gr.CheckboxGroup(
                        color_choices, label=I18N("colors"), visible=bool(color_choices), elem_id="colors"
                    )
                with gr.Accordion(I18N("refine"), open=False, elem_id="refine"):
                    weight = gr.Slider(
                        0, 1, start.weight, step=0.05, label=I18N("weight"), info=I18N("weight_info"), elem_id="weight"
                    )
                    also = gr.CheckboxGroup(also_choices, label=I18N("also"), elem_id="also")
                    crop = gr.Textbox(
                        "", label=I18N("crop"), info=I18N("crop_info"), placeholder="0, 0, 100, 100", elem_id="crop"
                    )
                    whole = gr.Button(I18N("crop_clear"), size="sm")
                    more = gr.File(
                        label=I18N("more"), file_count="multiple", file_types=["image"], height=140, elem_id="more"
                    )
                method = gr.Radio(method_choices, value=start.method, label=I18N("method"), elem_id="method")
                k = gr.Slider(1, MAX_K, value=start.k, step=1, label=I18N("k"), elem_id="k")
                search = gr.Button(I18N("search"), variant="primary")
            with gr.Column(elem_id="answer", min_width=280), gr.Tabs(elem_id="tabs"):
                with gr.Tab(I18N("results"), id="results") as results_tab:
                    line = gr.HTML(first_line, elem_id="line", padding=False)
                    details = gr.HTML(elem_id="details", padding=False)
                    results = gr.Gallery(
                        first_items["value"],
                        label=words("results"),
                        show_label=False,
                        container=False,
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        columns=4,
                        object_fit="contain",
                        elem_id="results",
                    )
                with gr.Tab(I18N("compare"), id="compare") as compare_tab:
                    comparison = gr.HTML(elem_id="compare", padding=False)
                with gr.Tab(I18N("map"), id="map", visible=retriever.bundle.map is not None) as map_tab:
                    map_ = gr.HTML(elem_id="map", padding=False)
                with gr.Tab(I18N("report"), id="report", visible=retriever.bundle.report is not None) as report_tab:
                    report = gr.HTML(elem_id="report", padding=False)
        # Unseen: the address that `page.js` asks to restore, the one of the search that is shown, what changes when an
        # address was restored, and the open tab.
        address = gr.Textbox(label=I18N("address"), visible="hidden", elem_id="address")
        here = gr.Textbox(label=I18N("address"), visible="hidden", elem_id="here")
        restored = gr.Textbox("", label=I18N("address"), visible="hidden", elem_id="restored")
        open_tab = gr.Textbox("results", label=I18N("address"), visible="hidden", elem_id="open-tab")
        last_seed = gr.State()

        # Values come as the browser sent them (preprocess=False): pictures are opened by `cbir.images` alone.
        page: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
        quiet = page | {"show_progress": "hidden"}
        asked = [photo, more, crop, method, match, k, types, colors, weight, also]
        shown = [results, line, details, here, types, colors]
        searches = page | SEARCH_QUEUE | {"show_progress": "minimal", "show_progress_on": line}

        changes = [method.input, match.input, k.release, types.input, colors.input, weight.release, also.input]
        changed = gr.on(
            [*changes, photo.change, more.change, crop.change, restored.change],
            handlers.refresh,
            asked,
            shown,
            trigger_mode="always_last",
            **searches,
        )
        asked_again = search.click(handlers.answer, asked, shown, **searches)
        demo.load(handlers.welcome, None, [heading, notices, match, method, also], **quiet)
        # What is restored counts as one more change: searches that start one by one also end in that order.
        demo.load(handlers.restore, address, [*asked, restored], js="() => location.search", **quiet)
        address.change(handlers.restore, address, [*asked, restored], trigger_mode="always_last", **quiet)
        tabs = {"results": results_tab, "compare": compare_tab, "map": map_tab, "report": report_tab}
        show_tab = {"fn": handlers.show_tab, "inputs": [open_tab, *asked], "outputs": [comparison, map_, report]}
        for done in (changed, asked_again):
            done.success(None, here, js=SHOW_ADDRESS, api_visibility="private").success(**show_tab, **page)
        for name, tab in tabs.items():
            tab.select(None, None, open_tab, js=f"() => '{name}'", api_visibility="private").success(**show_tab, **page)

        seeds = [photo, seed, last_seed, crop]
        random.click(handlers.random_photo, [seed, last_seed], seeds, **quiet)
        seed.submit(handlers.repeat_photo, seed, seeds, **quiet)
        picked = results.select(handlers.pick, asked, [photo, crop, details], **quiet)
        picked.success(None, None, None, js=SHOW_DETAILS, api_visibility="private")
        gr.on([photo.input, whole.click], None, None, crop, js="() => ''", api_visibility="private")

        endpoints = Endpoints(retriever, thumbnails)
        for searching in ("search", "search_by_id", "search_together", "search_many", "compare", "explain"):
            gr.api(getattr(endpoints, searching), **SEARCH_QUEUE)
        for quick in ("facets", "random", "methods"):
            gr.api(getattr(endpoints, quick), concurrency_limit=None)

    # Without api_open=False a program could pass the queue and its limits by.
    return demo.queue(api_open=False, max_size=WAITING_AT_MOST)


def launch(demo: gr.Blocks, **options: Any) -> tuple[App, str, str]:  # noqa: ANN401 - whatever Gradio takes
    """Start the server with the app's look and limits, for agents too where `mcp` is installed.

    `options` go to `gr.Blocks.launch`.
    """
    return demo.launch(
        theme=theme(),
        i18n=I18N,
        js=Path(__file__).with_name("page.js").read_text(encoding="utf-8"),
        css_paths=Path(__file__).with_name("style.css"),
        max_file_size=UPLOAD_LIMIT,
        enable_monitoring=False,
        ssr_mode=False,
        footer_links=["api", "settings"],
        mcp_server=find_spec("mcp") is not None,
        **options,
    )


def theme() -> gr.themes.Base:
    """Calm and neutral, so that the garments are the only color; system fonts, so that nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=["ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
        color_accent="*primary_600",
        slider_color="*primary_600",
        checkbox_background_color_selected="*primary_600",
        checkbox_border_color_selected="*primary_600",
        checkbox_label_background_fill="*background_fill_primary",
        checkbox_label_background_fill_hover="*background_fill_secondary",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_950",
        checkbox_label_border_width="1px",
        checkbox_label_border_color_selected="*primary_600",
        checkbox_label_background_fill_dark="*background_fill_primary",
        checkbox_label_background_fill_hover_dark="*neutral_800",
        checkbox_label_border_color_dark="*neutral_700",
        checkbox_label_border_color_selected_dark="*primary_500",
        button_secondary_background_fill_dark="*background_fill_primary",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color_dark="*neutral_700",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="*background_fill_primary",
        button_secondary_border_color="*neutral_300",
        button_border_width="1px",
        button_primary_background_fill="*neutral_900",
        button_primary_background_fill_hover="*neutral_700",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*neutral_100",
        button_primary_background_fill_hover_dark="white",
        button_primary_text_color_dark="*neutral_900",
    )
