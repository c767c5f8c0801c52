// Looking closely: a result, large and in color, beside what was searched with. It opens at once, with what the page has;
// why it was found comes from the server (`told`).
() => {
    const {find, all, changed, edges} = window.apparel;
    const tiles = () => all("#results .tile[data-pick]");
    let shown = null; // the tile that is looked at
    let isHeated = false; // whether the heat map is wanted; it stays so from one result to the next

    const picture = (figure, image) => find(`#look .${figure} .picture`).replaceChildren(...(image ? [image] : []));
    const copyOf = (image) => Object.assign(new Image(), {src: image.src, alt: ""});
    // What was searched with; a part of it where it was cropped.
    const query = () => {
        const whole = find("#line img");
        const part = edges();
        if (!whole || !part) return whole && copyOf(whole);
        const canvas = document.createElement("canvas");
        const source = copyOf(whole);
        source.onload = () => {
            const [left, top, right, bottom] = part.map((edge) => edge / 100);
            const [x, y] = [left * source.naturalWidth, top * source.naturalHeight];
            canvas.width = Math.max((right - left) * source.naturalWidth, 1);
            canvas.height = Math.max((bottom - top) * source.naturalHeight, 1);
            canvas.getContext("2d").drawImage(source, -x, -y);
        };
        return canvas;
    };
    const look = (tile) => {
        const dialog = find("#look");
        shown = tile;
        find("h2", dialog).textContent = tile.dataset.title;
        find("h2 + p", dialog).textContent = [tile.dataset.place, find("small", tile)?.textContent].filter(Boolean).join(" · ");
        find("[data-search]", dialog).setAttribute("href", changed({crop: "", id: tile.dataset.pick}));
        picture("query", query());
        picture("item", copyOf(find("img", tile)));
        find(".why", dialog).replaceChildren();
        find(".why", dialog).setAttribute("aria-busy", "true");
        find("[data-heat]", dialog).setAttribute("aria-disabled", "true"); // and not `disabled`, which loses the focus
        heat(isHeated);
        find(".inside", dialog).scrollTop = 0;
        if (dialog.open) return;
        dialog.showModal();
        find("[data-search]", dialog).focus();
    };
    const heat = (isOn) => {
        isHeated = isOn;
        find("#look [data-heat]").setAttribute("aria-pressed", isOn);
        find("#look").classList.toggle("heated", isOn);
    };
    // Whoever leafs through quickly sees the pictures at once, and asks the server only where they stay.
    let rest = 0;
    const step = (by) => {
        const ones = tiles(), next = ones.at((ones.indexOf(shown) + by) % ones.length);
        if (next) look(next);
        clearTimeout(rest);
        rest = setTimeout(() => find("#look").open && next?.click(), 150);
    };
    // The server's answer, if it is about what is still looked at.
    const told = (details) => {
        const answer = Object.assign(document.createElement("div"), {innerHTML: details}).firstElementChild;
        if (!find("#look").open || answer?.dataset.item !== shown?.dataset.pick) return;
        const heats = all(".heat", answer);
        for (const one of heats) find(`#look .${one.dataset.figure} .picture`).append(one);
        find("#look .why").replaceChildren(answer);
        find("#look .why").removeAttribute("aria-busy");
        find("#look [data-heat]").setAttribute("aria-disabled", !heats.length);
    };
    // An error is shown as a toast, which lies behind, and may come a moment later.
    const untold = (tries = 40) => {
        const why = find("#look .why"), text = all(".toast-message-text").at(-1)?.textContent;
        if (!text && tries) return setTimeout(() => untold(tries - 1), 50);
        why.textContent = text ?? "";
        why.removeAttribute("aria-busy");
    };
    // After a search from here, its results are where to go on.
    let isSearching = false;
    const arrived = window.apparel.arrived;
    window.apparel.arrived = (here) => {
        arrived(here);
        if (isSearching) requestAnimationFrame(() => find("#results .tile")?.focus({preventScroll: true}));
        isSearching = false;
    };

    document.addEventListener("click", (event) => {
        const dialog = event.target.closest("#look");
        const tile = event.target.closest("#results .tile[data-pick]");
        if (tile && !(tile === shown && find("#look").open)) look(tile);
        if (!dialog) return;
        const on = (selector) => event.target.closest(selector);
        if (on("[data-heat]")) heat(!isHeated);
        if (on("[data-step]")) step(Number(on("[data-step]").dataset.step));
        isSearching = on("[data-search]") && !(event.ctrlKey || event.metaKey || event.shiftKey);
        if (isSearching || event.target === dialog) dialog.close();
    });
    // Every dialog of the page closes by its button, and by going back.
    document.addEventListener("click", ({target}) => target.closest("[data-shut]")?.closest("dialog").close());
    addEventListener("popstate", () => all("dialog[open]").forEach((dialog) => dialog.close()));
    document.addEventListener("close", ({target}) => target.id === "look" && shown?.isConnected && shown.focus(), true);
    document.addEventListener("keydown", (event) => {
        const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (!by || !find("#look")?.open) return;
        event.preventDefault();
        step(by);
    });
    // A finger that wipes to the side.
    let start = null;
    const isOne = ({touches, target}) => touches.length === 1 && target.closest("#look .pair");
    addEventListener("touchstart", (event) => (start = isOne(event) ? event.touches[0] : null), {passive: true});
    addEventListener("touchend", ({changedTouches: [end]}) => {
        const [x, y] = start ? [end.clientX - start.clientX, end.clientY - start.clientY] : [0, 0];
        if (Math.abs(x) > 50 && Math.abs(x) > 2 * Math.abs(y)) step(x < 0 ? 1 : -1);
        start = null;
    });
    Object.assign(window.apparel, {told, untold});
}
