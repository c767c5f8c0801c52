// What the page does by itself: the chain of searches in the browser's history, links, the sheet of options, keys.
// Its other parts have files of their own, which run after this one.
() => {
    const find = (selector, within = document) => within.querySelector(selector);
    const all = (selector, within = document) => [...within.querySelectorAll(selector)];
    // Puts a text into one of Gradio's fields, as if it had been typed.
    const fill = (selector, text) => {
        const field = find(`${selector} :is(textarea, input)`);
        field.value = text;
        field.dispatchEvent(new Event("input", {bubbles: true}));
    };
    const isNarrow = () => matchMedia("(max-width: 820px)").matches;
    const glide = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

    document.documentElement.lang = /^pt/i.test(navigator.language) ? "pt" : "en";
    find("#foot").classList.toggle("is-local", ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname));

    // --- addresses: a link or the back button puts one into the hidden field, whose handler restores that search ---
    const uploads = () => history.state?.uploads ?? ""; // "&photo=…&more=…": the server's names of photos from outside
    const OURS = $ADDRESS_NAMES; // filled in by layout.py
    const ours = (search) =>
        JSON.stringify([...new URLSearchParams(search)].filter(([name]) => OURS.includes(name)).sort());
    // Until the search that an address asks for arrives, others that were on their way must not change the address.
    let asked = 0, waitingUntil = ours(location.search) === "[]" && !uploads() ? 0 : Date.now() + 15000;
    const go = (address, photos) => {
        waitingUntil = Date.now() + 15000; // it may also never arrive
        fill("#address", `${address || "?"}${photos}#${++asked}`); // the same address twice is asked for twice
    };
    addEventListener("popstate", () => go(location.search, uploads()));
    for (const act of ["pointerdown", "keydown", "drop", "change"]) addEventListener(act, () => (waitingUntil = 0), true);

    const say = (button, text) => {
        const before = button.textContent;
        button.textContent = text;
        setTimeout(() => (button.textContent = before), 3000);
    };
    document.addEventListener("click", (event) => {
        const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
        const on = (selector) => plain && event.target.closest(selector);
        const link = on("a[data-search], [data-id]"), change = on("[data-with]"), copy = on("[data-copy]");
        if (link) {
            event.preventDefault();
            search(link.dataset.id ? changed({crop: "", id: link.dataset.id}) : link.search, "");
        }
        if (change) correct(change.dataset.with);
        if (copy) navigator.clipboard.writeText(location.href).then(
            () => say(copy, copy.dataset.copy),
            () => prompt("", location.href), // where the browser keeps the clipboard to itself
        );
        if (on(".skip")) {
            event.preventDefault();
            (find("#results .tile") ?? find("#line button"))?.focus();
        }
        if (on("[data-sheet]")) openSheet();
        else if (isSheet() && !event.target.closest("#options")) closeSheet();
    });
    const search = (address, photos) => {
        show(address, photos);
        go(address, photos);
    };
    // Sets some of the controls, lists and texts, and leaves the others, and the photos, as the page holds them now:
    // the address may be that of an earlier search. What comes of it has its address when it arrives.
    let corrections = 0;
    const correct = (settings) => fill("#correction", `${settings}#${++corrections}`);
    // -> for each name the new value of its control, undefined to leave it; at the end something new each time
    const corrected = (correction, lists, texts) => {
        const [settings, number] = correction.split("#");
        const given = new URLSearchParams(settings);
        const value = (name, all) => (given.has(name) ? all(given.getAll(name)) : undefined);
        return [
            ...lists.map((name) => value(name, (values) => values.filter(Boolean))),
            ...texts.map((name) => value(name, (values) => values.at(-1))),
            `correction ${number}`,
        ];
    };
    // One change may set many controls, each of which asks for a search, and Gradio would start some of them side by
    // side, with what the controls held in between, and show whichever is answered last: they are one search. The next
    // one waits until this one is shown, or until a photo that cannot be read is gone.
    let due = 0, searches = 0, busyUntil = 0, isWanted = false;
    const start = () => {
        isWanted = Date.now() < busyUntil;
        if (isWanted) return;
        busyUntil = Date.now() + 30000; // the answer may be lost
        fill("#due", `${++searches}`);
    };
    const ask = () => {
        clearTimeout(due);
        due = setTimeout(start, 20);
    };
    const answered = () => {
        busyUntil = 0;
        if (isWanted) ask();
    };
    // This search with other settings; an empty one is left out.
    const changed = (settings) => {
        const address = new URLSearchParams(location.search);
        for (const [name, value] of Object.entries(settings)) value ? address.set(name, value) : address.delete(name);
        return `?${address}`;
    };

    // --- the options: on a phone one sheet, which leaves the page where it is ---
    let opener = null;
    const isSheet = () => find("#page").classList.contains("sheet-open");
    const behind = () => all("#page > :not(#options), #heading, #notices, #foot, footer");
    const openSheet = () => {
        const sheet = find("#options");
        opener = document.activeElement;
        sheet.setAttribute("role", "dialog");
        sheet.setAttribute("aria-modal", "true");
        sheet.setAttribute("aria-label", opener?.textContent.replace(/\(.*/, "").trim());
        find("#page").classList.add("sheet-open");
        document.body.style.overflow = "hidden";
        behind().forEach((part) => (part.inert = true));
        find("input", sheet)?.focus({preventScroll: true});
    };
    const closeSheet = () => {
        find("#page").classList.remove("sheet-open");
        document.body.style.overflow = "";
        behind().forEach((part) => (part.inert = false));
        for (const name of ["role", "aria-modal", "aria-label"]) find("#options").removeAttribute(name);
        (opener?.isConnected ? opener : find("[data-sheet]"))?.focus({preventScroll: true});
    };
    const show_results = () => {
        closeSheet();
        find("#line").scrollIntoView({behavior: glide()});
    };
    matchMedia("(max-width: 820px)").addEventListener("change", () => isSheet() && closeSheet());

    // --- what is folded: the seed of a random photo, the methods beside the chosen one ---
    const fold = (button, part) => {
        const isOpen = find(part).classList.toggle("open");
        find(button).setAttribute("aria-expanded", isOpen);
        rove();
        return isOpen;
    };
    const show_seed = () => fold("#show-seed", "#seed") && find("#seed input").focus();
    const show_methods = () => fold("#show-methods", "#method") && find("#method input:checked").focus();
    document.addEventListener("click", (event) => {
        // Only a pointer: arrow keys go from method to method and "click" each.
        if (event.target.closest("#method label") && event.detail && !event.target.matches("input")) show_methods();
    });

    // --- what a chip of what the app saw may be corrected to opens below it ---
    let open = "";
    document.addEventListener("beforetoggle", ({target, newState}) => {
        if (!target.matches(".choices")) return;
        open = newState === "open" ? target.id : "";
        if (!open) return;
        const chip = find(`.chip[popovertarget=${target.id}]`).getBoundingClientRect();
        target.style.left = `${Math.max(8, Math.min(chip.left, innerWidth - 232))}px`;
        target.style.top = `${chip.bottom + 4}px`;
    }, true);
    // An answer that draws the line anew takes what is open away, without such an event: it opens again.
    new MutationObserver(() => {
        const menu = open && document.getElementById(open);
        if (!menu) open = "";
        else if (!menu.matches(":popover-open")) menu.showPopover();
    }).observe(find("#line"), {childList: true, subtree: true});

    // --- a color that is picked goes into the words, in place of another, and is searched for ---
    document.addEventListener("change", ({target}) => {
        if (!target.matches("#swatch input")) return;
        const field = find("#words textarea, #words input");
        fill("#words", `${field.value.replace(/#\w*/g, "").trim()} ${target.value}`.trim());
        setTimeout(() => field.dispatchEvent(new KeyboardEvent("keypress", {key: "Enter", bubbles: true})), 50);
    });

    // --- a search has arrived: its address goes into the history, and the results of a new photo come into sight ---
    const show = (here, photos) => {
        const address = new URLSearchParams(location.search);
        OURS.forEach((name) => address.delete(name));
        for (const [name, value] of new URLSearchParams(here)) OURS.includes(name) && address.append(name, value);
        const readable = address.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
        if (ours(readable) === ours(location.search) && photos === uploads()) return;
        history.pushState({uploads: photos}, "", location.pathname + (readable ? `?${readable}` : ""));
        // Inside its frame on huggingface.co, the app's address is that of the page around it.
        if (parent !== window) parent.postMessage({queryString: readable}, "https://huggingface.co");
    };
    const photosOf = (given) => [...given].filter(([name]) => ["photo", "more"].includes(name))
        .map(([name, path]) => `&${name}=${encodeURIComponent(path)}`).join("");
    const queryOf = (address, photos) => `${new URLSearchParams(address).get("id") ?? ""}${photos}`;
    let lastQuery = queryOf(location.search, uploads());
    const arrived = (here) => {
        const given = new URLSearchParams(here);
        const photos = photosOf(given);
        if (ours(here) === ours(location.search) && photos === uploads()) waitingUntil = 0;
        else if (Date.now() > waitingUntil) show(here, photos);
        const image = find("#photo img");
        if (image && image.complete && !image.naturalWidth) image.src = find("#line img").src; // e.g. a TIFF
        const query = queryOf(here, photos);
        const isNew = query && query !== lastQuery;
        lastQuery = query;
        if (!isNew) return;
        const tab = find("#tabs [role=tab]");
        if (tab?.getAttribute("aria-selected") === "false") tab.click();
        const line = find("#line");
        if (isNarrow() || line.getBoundingClientRect().top < 0) line.scrollIntoView({behavior: glide()});
    };
    window.apparel = {
        find, all, fill, changed, search, correct, corrected, ask, answered, arrived,
        show_seed, show_methods, show_results,
    };

    // --- keys ---
    // A group is one stop of the tab key, and arrow keys go from one to the next; a radio button or a tab is chosen too.
    const GROUPS = {
        "#options fieldset": "input[type=radio]",
        "#types .wrap, #colors .wrap": "input[type=checkbox]",
        "#tabs .tab-container": "[role=tab]",
        "[role=toolbar]": "button",
    };
    const TOOLBARS = ["#photo .source-selection", "#random"];
    const members = (group, selector) => all(selector, group).filter((one) => !one.disabled);
    const isChosen = (one) => (one.type === "radio" ? one.checked : one.getAttribute("aria-selected") === "true");
    const rove = () => {
        for (const bar of TOOLBARS.flatMap((bars) => all(bars))) bar.setAttribute("role", "toolbar");
        for (const [groups, selector] of Object.entries(GROUPS))
            for (const group of all(groups)) {
                const ones = members(group, selector);
                if (group.id === "method" && !group.classList.contains("open")) { // "All methods" leads to it
                    for (const one of ones) one.tabIndex = -1;
                    continue;
                }
                const stop = ones.find(isChosen) ?? ones.find((one) => one === document.activeElement) ?? ones[0];
                for (const one of ones) one.tabIndex = one === stop ? 0 : -1;
            }
        for (const group of all("#options fieldset")) group.setAttribute("aria-label", find("span", group).textContent.trim());
        for (const label of all("#types label, #colors label"))
            label.classList.toggle("none", label.textContent.trim().endsWith("(0)"));
    };
    let isDue = false;
    new MutationObserver(() => {
        if (isDue) return;
        isDue = true;
        requestAnimationFrame(() => ((isDue = false), rove()));
    }).observe(document.body, {childList: true, subtree: true, characterData: true, attributeFilter: ["aria-selected"]});
    document.addEventListener("change", rove);
    document.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && isSheet()) return closeSheet();
        const step = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
        if (!step) return;
        for (const [groups, selector] of Object.entries(GROUPS)) {
            if (!event.target.matches(selector) || !event.target.closest(groups)) continue;
            const group = members(event.target.closest(groups), selector);
            const next = group.at((group.indexOf(event.target) + step) % group.length);
            event.preventDefault();
            event.stopPropagation();
            event.target.tabIndex = -1;
            next.tabIndex = 0;
            next.focus();
            if (next.matches("[type=radio], [role=tab]")) next.click();
            return;
        }
    }, true);

    // Gradio's slider is released by the pointer only; keys, and numbers that are typed, should count as well.
    const release = (slider) => slider.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
    document.addEventListener("keyup", ({key, target}) => {
        if (target.matches("#options input[type=range]") && /^(Arrow|Page|Home|End)/.test(key)) release(target);
    });
    document.addEventListener("change", ({target}) => {
        if (target.matches("#options input[type=number]")) setTimeout(() => release(target));
    });
}
