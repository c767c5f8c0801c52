"""The page: its controls, its look, and which handler each control calls."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.routes import App

from cbir.pairs import TASKS
from cbir.search import DEFAULT_K, DEFAULT_TASK, Retriever
from cbir.ui import texts
from cbir.ui.api import Endpoints
from cbir.ui.handlers import Handlers, default_method
from cbir.ui.thumbnails import Thumbnails

MAX_K = 60
# Searches share one queue: embedding a photo keeps every core busy, so more at once only makes all of them slow.
SEARCHES_AT_ONCE = 2
WAITING_AT_MOST = 64
UPLOAD_LIMIT = "25mb"
UPLOADS_SWEPT_EVERY, UPLOADS_KEPT = 3600, 3 * 3600  # seconds

SEARCH_QUEUE = {"concurrency_id": "search", "concurrency_limit": SEARCHES_AT_ONCE}

# On a phone the results are below the fold: a new query scrolls to them.
SHOW_RESULTS = """() => {
    if (innerWidth <= 720 && document.querySelector("#line img"))
        document.querySelector("#line").scrollIntoView({behavior: "smooth"});
}"""

# Gradio's slider is released by the pointer only; arrow keys should count as well.
RELEASE_BY_KEY = """() => {
    document.addEventListener("keyup", ({key, target}) => {
        if (target.matches("#k input[type=range]") && /^(Arrow|Page|Home|End)/.test(key))
            target.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
    });
}"""


def build_demo(retriever: Retriever) -> gr.Blocks:
    """Build the page and the endpoints over one retriever."""
    thumbnails = Thumbnails(retriever.gallery)
    handlers = Handlers(retriever, thumbnails)
    first_items, first_line = handlers.catalogue()

    with gr.Blocks(
        title=texts.TITLE, fill_width=True, analytics_enabled=False, delete_cache=(UPLOADS_SWEPT_EVERY, UPLOADS_KEPT)
    ) as demo:
        gr.HTML(texts.heading(retriever.bundle), elem_id="heading", padding=False)
        if notices := texts.notices(retriever.bundle):
            gr.HTML(notices, elem_id="notices", padding=False)
        with gr.Row(elem_id="page"):
            with gr.Column(elem_id="query", min_width=280):
                photo = gr.Image(
                    label=texts.PHOTO,
                    alt_text=texts.PHOTO_ALT,
                    placeholder=texts.PHOTO_PLACEHOLDER,
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    buttons=[],
                    height=260,
                    elem_id="photo",
                )
                with gr.Row(elem_id="random"):
                    random = gr.Button(texts.RANDOM, min_width=120)
                    seed = gr.Number(0, label=texts.SEED, precision=0, minimum=0, min_width=110, elem_id="seed")
                match = gr.Radio(
                    [(task.label, task.name) for task in TASKS.values()],
                    value=DEFAULT_TASK,
                    label=texts.MATCH,
                    elem_id="match",
                )
                method = gr.Radio(
                    [(texts.method_choice(method), method.name) for method in retriever.methods],
                    value=default_method(retriever),
                    label=texts.METHOD,
                    elem_id="method",
                )
                k = gr.Slider(1, MAX_K, value=DEFAULT_K, step=1, label=texts.K, elem_id="k")
                search = gr.Button(texts.SEARCH, variant="primary")
            with gr.Column(elem_id="answer", min_width=280):
                line = gr.HTML(first_line, elem_id="line", padding=False)
                results = gr.Gallery(
                    first_items["value"],
                    label=texts.RESULTS,
                    show_label=False,
                    container=False,
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    columns=4,
                    object_fit="contain",
                    elem_id="results",
                )
        last_seed = gr.State()

        # Values come as the browser sent them (preprocess=False): pictures are opened by `cbir.images` alone.
        page: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
        shown: dict[str, Any] = {"outputs": [results, line], "show_progress": "minimal", "show_progress_on": line}
        searches = page | SEARCH_QUEUE | shown
        asked = [photo, method, match, k]
        gr.on([method.input, match.input, k.release], handlers.refresh, asked, trigger_mode="always_last", **searches)
        found = photo.change(handlers.refresh, asked, trigger_mode="always_last", **searches)
        asked_again = search.click(handlers.answer, asked, **searches)
        for done in (found, asked_again):
            done.success(None, js=SHOW_RESULTS, api_visibility="private")
        seeds = [photo, seed, last_seed]
        random.click(handlers.random_photo, [seed, last_seed], seeds, show_progress="hidden", **page)
        seed.submit(handlers.repeat_photo, seed, seeds, show_progress="hidden", **page)
        results.select(handlers.pick, None, photo, show_progress="hidden", **page)

        endpoints = Endpoints(retriever, thumbnails)
        gr.api(endpoints.search, **SEARCH_QUEUE)
        gr.api(endpoints.search_by_id, **SEARCH_QUEUE)
        gr.api(endpoints.random, concurrency_limit=None)
        gr.api(endpoints.methods, concurrency_limit=None)

    # Without api_open=False a program could pass the queue and its limits by.
    return demo.queue(api_open=False, max_size=WAITING_AT_MOST)


def launch(demo: gr.Blocks, **options: object) -> tuple[App, str, str]:
    """Start the server with the app's look and limits; `options` go to `gr.Blocks.launch`."""
    return demo.launch(
        theme=theme(),
        js=RELEASE_BY_KEY,
        css_paths=Path(__file__).with_name("style.css"),
        max_file_size=UPLOAD_LIMIT,
        enable_monitoring=False,
        ssr_mode=False,
        footer_links=["api", "settings"],
        **options,
    )


def theme() -> gr.themes.Base:
    """Calm and neutral, so that the garments are the only colour; system fonts, so that nothing is fetched."""
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
