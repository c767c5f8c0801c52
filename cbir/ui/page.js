// What the page does by itself: the chain of searches in the browser's history, links, the crop's frame, keys.
() => {
    const find = (selector) => document.querySelector(selector);

    // --- addresses: a link or the back button puts one into the hidden field, whose handler restores that search ---
    // Until the search that an address asks for arrives, others that were on their way must not change the address.
    let asked = 0, waitingUntil = Date.now() + 4000;
    const go = (address) => {
        waitingUntil = Date.now() + 4000; // it may also never arrive
        const field = find("#address textarea, #address input");
        field.value = `${address}#${++asked}`; // the same address twice is asked for twice
        field.dispatchEvent(new Event("input", {bubbles: true}));
    };
    addEventListener("popstate", () => go(location.search || "?"));
    for (const act of ["pointerdown", "keydown"]) addEventListener(act, () => (waitingUntil = 0), true);

    const say = (button, text) => {
        const before = button.textContent;
        button.textContent = text;
        setTimeout(() => (button.textContent = before), 1500);
    };
    document.addEventListener("click", (event) => {
        const link = event.target.closest("a[data-search], [data-id]");
        const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
        if (link && plain) {
            event.preventDefault();
            const address = link.dataset.id ? withId(link.dataset.id) : link.search;
            show(address);
            go(address);
            return;
        }
        const copy = event.target.closest("[data-copy]");
        if (copy) navigator.clipboard.writeText(location.href).then(
            () => say(copy, copy.dataset.copy),
            () => prompt("", location.href), // where the browser keeps the clipboard to itself
        );
        if (event.target.closest("[data-close]")) find("#details .explanation").remove();
    });
    // The same search with another query; a crop belongs to the photo it was made in.
    const withId = (id) => {
        const address = new URLSearchParams(location.search);
        address.delete("crop");
        address.set("id", id);
        return `?${address}`;
    };

    // --- the crop: two clicks into the photo, or four numbers; its frame lies over the photo ---
    const cropField = () => find("#crop textarea, #crop input");
    const photoBox = (image) => { // where the photo itself is drawn, whole, inside its element
        const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
        const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
        return {left: (image.clientWidth - width) / 2, top: (image.clientHeight - height) / 2, width, height};
    };
    let corner = null;
    const frame = () => {
        const image = find("#photo img");
        const numbers = cropField()?.value.split(/[,;]/).map(parseFloat) ?? [];
        const edges = corner ? [...corner, ...corner] : numbers;
        let box = find("#crop-frame");
        if (!image?.naturalWidth || edges.length !== 4 || edges.some(isNaN)) return box?.remove();
        if (!box) box = Object.assign(document.createElement("div"), {id: "crop-frame"});
        image.parentElement.append(box);
        image.parentElement.style.position = "relative";
        const photo = photoBox(image);
        Object.assign(box.style, {
            left: `${image.offsetLeft + photo.left + (photo.width * edges[0]) / 100}px`,
            top: `${image.offsetTop + photo.top + (photo.height * edges[1]) / 100}px`,
            width: `${(photo.width * (edges[2] - edges[0])) / 100}px`,
            height: `${(photo.height * (edges[3] - edges[1])) / 100}px`,
        });
    };
    document.addEventListener("click", (event) => {
        const image = event.target.closest("#photo img");
        if (!image || !cropField()?.offsetParent) return; // only while the crop's field is in sight
        const photo = photoBox(image), shown = image.getBoundingClientRect();
        const percent = (value) => Math.round(Math.min(Math.max(value, 0), 1) * 1000) / 10;
        const point = [
            percent((event.clientX - shown.left - photo.left) / photo.width),
            percent((event.clientY - shown.top - photo.top) / photo.height),
        ];
        if (corner) {
            const low = point.map((value, axis) => Math.min(value, corner[axis]));
            const high = point.map((value, axis) => Math.max(value, corner[axis]));
            corner = null;
            cropField().value = [...low, ...high].join(", ");
            cropField().dispatchEvent(new Event("input", {bubbles: true}));
        } else corner = point;
        frame();
    });
    addEventListener("resize", frame);
    document.addEventListener("input", (event) => event.target.closest("#crop") && frame());

    // --- a color that is picked goes into the words, in place of another, and is searched for ---
    document.addEventListener("change", ({target}) => {
        if (!target.matches("#swatch input")) return;
        const field = find("#words textarea, #words input");
        field.value = `${field.value.replace(/#\w*/g, "").trim()} ${target.value}`.trim();
        field.dispatchEvent(new Event("input", {bubbles: true}));
        setTimeout(() => field.dispatchEvent(new KeyboardEvent("keypress", {key: "Enter", bubbles: true})), 50);
    });

    // --- a search has arrived: its address goes into the history, and on a phone its results come into sight ---
    const OURS = $ADDRESS_NAMES; // filled in by layout.py
    const ours = (search) =>
        JSON.stringify([...new URLSearchParams(search)].filter(([name]) => OURS.includes(name)).sort());
    const show = (here) => {
        const address = new URLSearchParams(location.search);
        OURS.forEach((name) => address.delete(name));
        for (const [name, value] of new URLSearchParams(here)) OURS.includes(name) && address.append(name, value);
        const readable = address.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
        if (ours(readable) === ours(location.search)) return;
        history.pushState(null, "", location.pathname + (readable ? `?${readable}` : ""));
        // Inside its frame on huggingface.co, the app's address is that of the page around it.
        if (parent !== window) parent.postMessage({queryString: readable}, "https://huggingface.co");
    };
    const arrived = (here) => {
        frame();
        if (ours(here) === ours(location.search)) waitingUntil = 0;
        else if (Date.now() > waitingUntil) show(here);
        const line = find("#line");
        if (innerWidth <= 720 && line.querySelector("img")) line.scrollIntoView({behavior: "smooth"});
    };
    const chosen = () => find("#details .explanation")?.scrollIntoView({behavior: "smooth", block: "nearest"});
    window.apparel = {arrived, chosen};

    // --- Gradio's radio buttons do not know of each other: arrow keys should choose the next ---
    document.addEventListener("keydown", (event) => {
        const step = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
        if (!step || !event.target.matches("input[type=radio]")) return;
        const group = [...event.target.closest("fieldset").querySelectorAll("input[type=radio]")];
        const next = group.at((group.indexOf(event.target) + step) % group.length);
        event.preventDefault();
        next.focus();
        next.click();
    });

    // --- Gradio's slider is released by the pointer only; arrow keys should count as well ---
    document.addEventListener("keyup", ({key, target}) => {
        if (target.matches("#query input[type=range]") && /^(Arrow|Page|Home|End)/.test(key))
            target.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
    });
}
