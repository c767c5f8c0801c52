"""The page as Gradio serves it, without what Gradio does to values on their way in and out of endpoints."""

from collections.abc import Iterable
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState
from starlette.routing import BaseRoute

from cbir.errors import CbirError
from cbir.ui.uploads import Uploads


class _Forgetful(set):
    """A set that forgets what it is told."""

    def update(self, *others: Iterable[Any]) -> None:
        """Forgets it."""


class Page(gr.Blocks):
    """The page and the endpoints, and what the server answers beside them. Functions get values as they were sent.

    Gradio searches everything that comes and goes for files: it would download what a marked payload names, and copy
    what it finds. Here every handler checks what it takes (`cbir.ui.inputs`), and endpoints answer plain JSON.
    """

    routes: list[BaseRoute]
    uploads: Uploads

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever Gradio takes
        super().__init__(*args, **kwargs)
        self.upload_file_set = _Forgetful()  # uploads are known to `cbir.ui.uploads`
        self.temp_file_sets = [self.upload_file_set]

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """The values, if they are as many as the function takes."""
        if len(inputs) != len(block_fn.inputs):
            error = CbirError("expected {n} values, got {got}", n=len(block_fn.inputs), got=len(inputs))
            raise gr.Error(str(error), print_exception=False)
        return list(inputs)

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        inputs: list[Any],
        state: SessionState | None = None,
        request: gr.Request | list[gr.Request] | None = None,
        *args: Any,  # noqa: ANN401 - whatever Gradio takes
        **kwargs: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Answers a call; of an endpoint, without looking into the answer."""
        fn = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if fn.api_visibility != "public":
            return await super().process_api(fn, inputs, state, request, *args, **kwargs)
        values = await self.preprocess_data(fn, inputs, state)
        result = await self.call_function(fn, values, None, request, kwargs.get("event_id"), None, True, state)
        fn.total_runtime += result["duration"]
        fn.total_runs += 1
        return {
            "data": [result["prediction"]],
            "is_generating": False,
            "iterator": None,
            "duration": result["duration"],
            "average_duration": fn.total_runtime / fn.total_runs,
            "render_config": None,
            "changed_state_ids": [],
            "used_cache": None,
        }
