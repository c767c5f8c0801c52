"""The page: its controls, and which handler each control calls."""

import gc
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import gradio as gr
from gradio.components import Component
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from threadpoolctl import threadpool_limits

from cbir.options import OPTIONS
from cbir.own_photos import OwnPhotos
from cbir.search import Retriever
from cbir.temporary import temporary_folder
from cbir.ui import views
from cbir.ui.address import NAMES
from cbir.ui.api import ENDPOINTS
from cbir.ui.calls import Calls
from cbir.ui.gate import Gate
from cbir.ui.handlers import LIMITED, Handlers
from cbir.ui.limits import CALLS, FILES, MAX_UPLOAD
from cbir.ui.page import Page
from cbir.ui.preload import Head, preloads
from cbir.ui.reader import FairReader
from cbir.ui.routes import ICON, routes
from cbir.ui.serving import Events, Serving
from cbir.ui.texts import I18N, LANGUAGES, Words
from cbir.ui.theme import theme

SPARE_THREADS = 16  # beside one for each call: for files, and for what Gradio does

# Values come as the browser sent them (preprocess=False): pictures are opened by `cbir.images` alone.
PAGE: dict[str, Any] = {"api_visibility": "private", "preprocess": False}

ASKED = "() => location.search + (history.state?.uploads ?? '')"
ASK = "() => apparel.ask()"
CORRECT = "(correction) => apparel.corrected(correction, {lists}, {texts})"
SHOW_ADDRESS = "(here) => { apparel.answered(); apparel.arrived(here); }"
NOT_FOUND = "() => apparel.answered()"
SHOW_DETAILS = "(details) => apparel.told(details)"
SHOW_NO_DETAILS = "() => apparel.untold()"
SCRIPTS = ("page", "take", "crop", "closely", "map")  # each adds what others call to `window.apparel`
STYLES = ("style", "looks")
# What a click on `data-<name>` of a component is there.
EVENTS = {"example": "select", "pick": "select", "browse": "submit"}

# Options that have their place on the page; all others stand under "Refine".
PLACED = ("words", "match", "types", "colors", "method")


def build_demo(retriever: Retriever, photos: OwnPhotos | None = None) -> Page:
    """Builds the page and the endpoints over one retriever, whose photos are read in turns from now on.

    Args:
        retriever: what is searched.
        photos: whose bundle it searches, to add a button and an endpoint that bring it up to date; None for neither.
    """
    temporary_folder()
    retriever.reader = FairReader()
    serving = Serving(retriever, photos)
    with Page(title=Words()("page_title"), fill_width=True, analytics_enabled=False) as demo:
        _connect(serving.events, _draw(serving.handlers, photos is not None), demo)
        for name in ENDPOINTS:
            gr.api(serving.endpoint(name))
        if photos is not None:
            gr.api(serving.rescan)
            restored = serving.handlers.controls["restored"]
            serving.handlers.controls["rescan"].click(serving.rescan_page, None, restored, **PAGE)
    # Without api_open=False a program could pass the calls and their limits by.
    demo.queue(api_open=False)
    demo._queue = calls = Calls(demo)
    demo.uploads = serving.uploads
    demo.routes = [*routes(serving), *calls.routes()]
    return demo


def _draw(handlers: Handlers, can_rescan: bool) -> dict[str, gr.Tab]:
    """Puts the controls on the page, and under their names into `handlers.controls` -> the tabs, by name."""
    words, start, bundle = Words(), handlers.start, handlers.retriever.bundle
    tiles, line = handlers.catalogue(words, start)
    controls = handlers.controls

    def option(name: str) -> None:
        controls[name] = _option_control(name, handlers)

    def html(name: str, value: str = "", **about: Any) -> None:  # noqa: ANN401 - of `gr.HTML`
        controls[name] = gr.HTML(value, elem_id=name, padding=False, **about)

    def hidden(name: str, value: str | None = None) -> None:
        elem_id = name.replace("_", "-")
        controls[name] = gr.Textbox(value, label=I18N("address"), visible="hidden", elem_id=elem_id)

    # Areas of grids, so that each part has its place before it has arrived: see `style.css`.
    with gr.Column(elem_id="whole"):
        html("heading", views.heading(words))
        html("notices", views.notices(bundle, words))
        with gr.Row(elem_id="page"):
            controls["photo"] = gr.Image(
                label=I18N("photo"),
                show_label=False,
                alt_text=words("photo_alt"),
                placeholder=cast("str", I18N("photo_placeholder")),  # translated in the browser
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard", "webcam"],
                buttons=[],
                elem_id="photo",
            )
            controls["open_crop"] = gr.Button(I18N("open_crop"), size="sm", min_width=0, elem_id="open-crop")
            html("examples", views.examples(handlers.examples, words), js_on_load=_triggers("example"))
            with gr.Row(elem_id="in-words"):
                option("words")
                controls["swatch"] = gr.HTML(views.swatch(words), elem_id="swatch", padding=False, min_width=0)
            with gr.Row(elem_id="random"):
                controls["random"] = gr.Button(I18N("random"), min_width=0)
                controls["show_seed"] = gr.Button(I18N("seed"), min_width=0, elem_id="show-seed")
                controls["seed"] = gr.Number(0, label=I18N("seed"), precision=0, minimum=0, min_width=0, elem_id="seed")
            with gr.Column(elem_id="options", min_width=0):
                option("match")
                controls["show_methods"] = gr.Button(I18N("all_methods"), size="sm", elem_id="show-methods")
                option("method")
                option("types")
                option("colors")
                with gr.Accordion(I18N("refine"), open=False, elem_id="refine"):
                    for other in OPTIONS:
                        if not (other.is_swatch or other.parameter in PLACED):
                            option(other.parameter)
                    controls["crop"] = gr.Textbox(
                        "", label=I18N("crop"), info=I18N("crop_info"), placeholder="0, 0, 100, 100", elem_id="crop"
                    )
                    controls["more"] = gr.File(
                        label=I18N("more"), file_count="multiple", file_types=["image"], height=140, elem_id="more"
                    )
                controls["show_results"] = gr.Button(I18N("show_results"), variant="primary", elem_id="show-results")
            with gr.Column(elem_id="answer", min_width=0), gr.Tabs(elem_id="tabs"):
                with gr.Tab(I18N("results"), id="results", elem_id="tab-results") as results_tab:
                    html("line", line)
                    html("results", tiles, js_on_load=_triggers("pick", "browse"))
                with gr.Tab(I18N("compare"), id="compare", elem_id="tab-compare") as compare_tab:
                    html("compare")
                with gr.Tab(I18N("map"), id="map", elem_id="tab-map", visible=bundle.map is not None) as map_tab:
                    html("map")
                with gr.Tab(
                    I18N("report"), id="report", elem_id="tab-report", visible=bundle.report is not None
                ) as report_tab:
                    html("report")
        html("foot", views.foot(bundle, handlers.retriever.index, words))
        if can_rescan:
            controls["rescan"] = gr.Button(I18N("rescan"), size="sm", elem_id="rescan")
    html("dialogs", views.dialogs(words))
    # Unseen: the address that `page.js` asks to restore, what it changes of the search, the search that it asks for,
    # the photo that `take.js` gives, the address of the search that is shown, what changes when controls were set, the
    # open tab, the seed of the last random photo, and why the result that is looked at was found.
    hidden("address")
    hidden("correction")
    hidden("due")
    hidden("taken")
    hidden("here")
    hidden("restored", "")
    for swatch in OPTIONS:
        if swatch.is_swatch:
            option(swatch.parameter)
    hidden("open_tab", "results")
    hidden("details")
    controls["last_seed"] = gr.Number(visible="hidden")
    return {"results": results_tab, "compare": compare_tab, "map": map_tab, "report": report_tab}


def _triggers(*names: str) -> str:
    """Makes a click on what has `data-<name>` an event of its component, with that as its data: see `EVENTS`."""
    clicks = "".join(
        f"const {name} = event.target.closest('[data-{name}]');"
        f"if ({name}) trigger('{EVENTS[name]}', {{{name}: {name}.dataset.{name}}});"
        for name in names
    )
    return f"element.addEventListener('click', (event) => {{{clicks}}})"


def _option_control(name: str, handlers: Handlers) -> Component:
    option = next(option for option in OPTIONS if option.parameter == name)
    value = handlers.start.values[name]
    about: dict[str, Any] = {"label": I18N(name), "elem_id": name}
    info = I18N(f"{name}_info") if f"{name}_info" in LANGUAGES["en"] else None
    if option.is_flag:
        return gr.Checkbox(value, info=info, container=False, **about)
    if option.slider is not None:
        low, high, step = option.slider
        return gr.Slider(low, high, value, step=step, info=info, **about)
    if option.is_swatch:  # what is picked or restored goes into the words
        return gr.Textbox(value, visible="hidden", **about)
    if option.is_text:
        return gr.Textbox(value, placeholder=cast("str", I18N(f"{name}_info")), max_lines=1, **about)
    choices = handlers.choices(option, Words())
    if option.is_list:
        return gr.CheckboxGroup(choices, visible=bool(choices), **about)
    return gr.Radio(choices, value=value, **about)


def _changed(control: Any) -> Any:  # noqa: ANN401 - Gradio makes events at run time
    """The event of a control that has been set: words are searched for when they are complete."""
    if isinstance(control, gr.Slider):
        return control.release
    return control.submit if isinstance(control, gr.Textbox) else control.input


def _connect(handlers: Events, tabs: dict[str, gr.Tab], demo: gr.Blocks) -> None:
    """Binds events to handlers. A set of controls reaches its handler as a dictionary of their values."""
    controls = handlers.controls

    def named(*names: str) -> list[Any]:
        return [controls[name] for name in names]

    quiet = PAGE | {"show_progress": "hidden"}
    browser: dict[str, Any] = {"api_visibility": "private"}  # what happens there alone
    options = named(*(option.parameter for option in OPTIONS))
    asked = {*named("photo", "more", "crop"), *options}
    shown = named("results", "line", "here", *LIMITED, *(o.parameter for o in OPTIONS if o.label))
    searches = PAGE | {"show_progress": "minimal", "show_progress_on": controls["line"]}

    changes = [_changed(control) for control in options]
    changes += [control.change for control in named("photo", "more", "crop", "restored")]
    gr.on(changes, None, None, None, js=ASK, trigger_mode="multiple", **browser)
    changed = controls["due"].change(handlers.refresh, asked, shown, trigger_mode="always_last", **searches)

    first = named("heading", "notices", "foot", "examples", "dialogs")
    choices = named(*(option.parameter for option in OPTIONS if option.choices or option.label))
    demo.load(handlers.welcome, None, [*first, *choices], **quiet)
    # What is restored counts as one more change: searches that start one by one also end in that order.
    restored = [*named("photo", "more", "crop"), *options, *named("restored")]
    address = controls["address"]
    demo.load(handlers.restore, address, restored, js=ASKED, **quiet)
    address.change(handlers.restore, address, restored, trigger_mode="always_last", **quiet)
    lists = [o.parameter for o in OPTIONS if o.is_list]
    texts = [*(o.parameter for o in OPTIONS if o.is_text or o.is_swatch), "crop"]
    correction, set_by_it = controls["correction"], named(*lists, *texts, "restored")
    js = CORRECT.format(lists=json.dumps(lists), texts=json.dumps(texts))
    correction.change(None, correction, set_by_it, js=js, trigger_mode="multiple", **browser)

    open_tab = controls["open_tab"]
    show_tab = {"fn": handlers.show_tab, "inputs": {open_tab, *asked}, "outputs": named("compare", "map", "report")}
    opened = [changed.success(None, controls["here"], js=SHOW_ADDRESS, **browser).success(**show_tab, **PAGE)]
    for name, tab in tabs.items():
        opened.append(tab.select(None, None, open_tab, js=f"() => '{name}'", **browser).success(**show_tab, **PAGE))
    for shown_tab in opened:
        shown_tab.success(None, None, None, js="() => requestAnimationFrame(apparel.mapped)", **browser)

    # A photo that cannot be read does not stay.
    unreadable = named("photo", "more", "crop")
    dropped = changed.failure(handlers.drop_unreadable, asked, unreadable, **quiet)
    for end in (dropped.success, dropped.failure):
        end(None, None, None, js=NOT_FOUND, **browser)
    taken = controls["taken"]
    taken.change(handlers.take, taken, named("photo", "crop"), **(PAGE | {"show_progress_on": controls["photo"]}))

    seed, last_seed, crop, results = named("seed", "last_seed", "crop", "results")
    seeds = named("photo", "seed", "last_seed", "crop")
    controls["random"].click(handlers.random_photo, [seed, last_seed], seeds, **quiet)
    seed.submit(handlers.repeat_photo, seed, seeds, **quiet)
    controls["examples"].select(handlers.choose_example, None, named("photo", "crop"), **quiet)
    details = controls["details"]
    picked = results.select(handlers.pick, asked, [details], trigger_mode="multiple", **quiet)
    picked.success(None, details, None, js=SHOW_DETAILS, **browser)
    picked.failure(None, None, None, js=SHOW_NO_DETAILS, **browser)
    results.submit(handlers.browse, asked, [results], **quiet)
    controls["photo"].input(None, None, crop, js="() => ''", **browser)
    for button in ("show_seed", "show_methods", "show_results", "open_crop"):
        controls[button].click(None, None, None, js=f"() => apparel.{button}()", **browser)


def launch(demo: Page, **options: Any) -> tuple[App, str, str]:  # noqa: ANN401 - whatever Gradio takes
    """Starts the server with the app's look and limits, for agents too where `mcp` is installed.

    `options` go to `gr.Blocks.launch`.
    """
    threadpool_limits(1, user_api="blas")  # of numpy, where a search is small: threads would wait for each other
    sys.setswitchinterval(0.0005)  # seconds: who answers requests is not kept waiting by those who compute
    open_many_files()
    gc.freeze()  # what is there now stays: looking through it for rubbish takes long
    links = preloads(block["type"] for block in demo.config["components"])
    middleware = [
        Middleware(Gate, uploads=demo.uploads),
        Middleware(GZipMiddleware, compresslevel=6),
        Middleware(Head, links=links),
    ]
    app_kwargs: dict[str, Any] = {"routes": demo.routes, "middleware": middleware}
    if find_spec("mcp") is not None:
        from cbir.ui.tools import Tools

        # As Gradio does for its own server of tools.
        demo.mcp_server_obj = tools = Tools(demo)
        demo.mcp_server = True
        app_kwargs["lifespan"] = tools.lifespan
    return demo.launch(
        theme=theme(),
        i18n=I18N,
        js=_page_js(),
        css_paths=[Path(__file__).with_name(f"{name}.css") for name in STYLES],
        max_file_size=MAX_UPLOAD,
        max_threads=CALLS + SPARE_THREADS,
        enable_monitoring=False,
        ssr_mode=False,
        footer_links=["api", "settings"],
        mcp_server=False,
        favicon_path=ICON,
        app_kwargs=app_kwargs,
        **options,
    )


def open_many_files() -> None:
    """Lets this process have as many connections as `cbir.ui.limits` allows: where a system gives 1,024 by default and
    more to who asks, as Linux and macOS do."""
    if find_spec("resource") is None:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _page_js() -> str:
    """All scripts in one, told which names of the address are ours."""
    texts = [Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = "() => {" + "".join(f"({text})();\n" for text in texts) + "}"
    return script.replace("$ADDRESS_NAMES", json.dumps(NAMES))
