// The part of the photo to search with: a box that is dragged over the large photo by mouse, finger or keys, or four
// numbers in the options; its frame lies over the small photo. Boxes are [left, top, right, bottom] in percent.
() => {
    const {find, correct} = window.apparel;
    const LEAST = 3; // percent of a side
    const edges = () => {
        const numbers = new URLSearchParams(location.search).get("crop")?.split(/[,;]/).map(parseFloat);
        return numbers?.length === 4 && !numbers.some(isNaN) ? numbers : null;
    };
    const set = (part) => {
        const crop = part?.map((edge) => Math.round(edge * 10) / 10).join(", ") ?? "";
        correct(new URLSearchParams({crop}).toString());
    };

    // --- its frame over the small photo ---
    const photoBox = (image) => { // where the photo itself is drawn, whole, inside its element
        const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
        const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
        return {left: (image.clientWidth - width) / 2, top: (image.clientHeight - height) / 2, width, height};
    };
    const frame = () => {
        const image = find("#photo img"), part = edges();
        let box = find("#crop-frame");
        if (!image?.naturalWidth || !part) return box?.remove();
        if (!box) box = Object.assign(document.createElement("div"), {id: "crop-frame"});
        image.parentElement.append(box);
        image.parentElement.style.position = "relative";
        const photo = photoBox(image);
        Object.assign(box.style, {
            left: `${image.offsetLeft + photo.left + (photo.width * part[0]) / 100}px`,
            top: `${image.offsetTop + photo.top + (photo.height * part[1]) / 100}px`,
            width: `${(photo.width * (part[2] - part[0])) / 100}px`,
            height: `${(photo.height * (part[3] - part[1])) / 100}px`,
        });
    };
    addEventListener("resize", frame);
    const arrived = window.apparel.arrived;
    window.apparel.arrived = (here) => {
        arrived(here);
        frame();
    };

    // --- the box over the large photo ---
    let box = null;
    const stage = () => find("#cropper .stage");
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    const draw = (next) => {
        box = next;
        ["left", "top", "right", "bottom"].forEach((name, side) => {
            const inset = side < 2 ? box[side] : 100 - box[side];
            stage().style.setProperty(`--${name}`, `${inset}%`);
        });
        const [left, top, right, bottom] = box.map(Math.round);
        const output = find("#cropper output");
        output.textContent = output.dataset.text
            .replace("{width}", right - left).replace("{height}", bottom - top)
            .replace("{left}", left).replace("{top}", top);
    };
    const open_crop = () => {
        const image = find("#photo img"), shown = find("#cropper img");
        if (!image?.naturalWidth) return;
        shown.src = image.src;
        stage().style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
        find("#cropper").showModal();
        draw(edges() ?? [10, 10, 90, 90]);
        find("#cropper [data-corner='2 3']").focus();
    };
    const moved = ([left, top, right, bottom], x, y) => {
        const [dx, dy] = [within(x, -left, 100 - right), within(y, -top, 100 - bottom)];
        return [left + dx, top + dy, right + dx, bottom + dy];
    };
    // The corner of sides (across, down) goes to (x, y); it stops before the opposite one.
    const pulled = (old, [across, down], x, y) => {
        const next = [...old];
        next[across] = across ? within(x, old[0] + LEAST, 100) : within(x, 0, old[2] - LEAST);
        next[down] = down === 3 ? within(y, old[1] + LEAST, 100) : within(y, 0, old[3] - LEAST);
        return next;
    };
    const cornerOf = (target) => target.closest("[data-corner]")?.dataset.corner.split(" ").map(Number);

    let drag = null; // what a pointer that is down does with a point
    const at = ({clientX, clientY}) => {
        const {left, top, width, height} = stage().getBoundingClientRect();
        return [within((100 * (clientX - left)) / width, 0, 100), within((100 * (clientY - top)) / height, 0, 100)];
    };
    document.addEventListener("pointerdown", (event) => {
        if (!event.target.closest("#cropper .stage") || event.button) return;
        const [x, y] = at(event), before = box, corner = cornerOf(event.target);
        if (corner) drag = (to) => pulled(before, corner, ...to);
        else if (event.target.closest(".move")) drag = (to) => moved(before, to[0] - x, to[1] - y);
        else
            drag = (to) => {
                const next = [Math.min(x, to[0]), Math.min(y, to[1]), Math.max(x, to[0]), Math.max(y, to[1])];
                return next[2] - next[0] < LEAST || next[3] - next[1] < LEAST ? before : next;
            };
        stage().setPointerCapture(event.pointerId);
    });
    document.addEventListener("pointermove", (event) => drag && draw(drag(at(event))));
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (drag = null));
    document.addEventListener("keydown", (event) => {
        if (!event.target.closest("#cropper .box")) return;
        const [x, y] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key] ?? [];
        if (x === undefined) return;
        event.preventDefault();
        const by = event.shiftKey ? 10 : 1, corner = cornerOf(event.target);
        if (corner) draw(pulled(box, corner, box[corner[0]] + by * x, box[corner[1]] + by * y));
        else draw(moved(box, by * x, by * y));
    });
    document.addEventListener("click", ({target}) => {
        if (target.matches("#cropper") && !drag) target.close();
        const done = target.closest("#cropper [data-crop], #cropper [data-whole]");
        if (!done) return;
        set("whole" in done.dataset ? null : box);
        find("#cropper").close();
    });
    Object.assign(window.apparel, {edges, frame, open_crop});
}
