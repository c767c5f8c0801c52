// The map of the catalogue, on a canvas: points of the same size on every screen and at every zoom, names of groups where
// there is room, the picture of the point that is pointed at or that keys have reached.
() => {
    const {find, all, changed, search} = window.apparel;
    const MOST = 12, EDGE = 24, NAMED_ALL = 1.7; // zoom; px around the points; zoom from which all groups are named
    let area = null, data = null, chosen = null;
    let view = {zoom: 1, x: 0, y: 0}; // px by which the drawing is moved; kept when the map is drawn anew
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
    const size = () => [area.clientWidth, area.clientHeight];
    const at = ([x, y]) => {
        const [width, height] = size();
        return [
            (EDGE + (x / 1000) * (width - 2 * EDGE)) * view.zoom + view.x,
            (EDGE + (y / 1000) * (height - 2 * EDGE)) * view.zoom + view.y,
        ];
    };
    const nearest = (x, y, reach) => {
        let best = null, least = reach ** 2;
        data.points.forEach((point, index) => {
            const [px, py] = at(point), distance = (px - x) ** 2 + (py - y) ** 2;
            if (distance < least) [best, least] = [index, distance];
        });
        return best;
    };

    let isDue = false;
    const draw = () => {
        if (!isDue) requestAnimationFrame(paint);
        isDue = true;
    };
    const paint = () => {
        isDue = false;
        if (!area?.isConnected || !area.clientWidth) return;
        const [width, height] = size(), canvas = find("canvas", area), sharp = devicePixelRatio || 1;
        [canvas.width, canvas.height] = [width * sharp, height * sharp];
        const ctx = canvas.getContext("2d"), style = getComputedStyle(area);
        const [edge, ink, accent] = ["--edge", "--ink", "--accent"].map((name) => style.getPropertyValue(name));
        const paper = style.backgroundColor;
        ctx.scale(sharp, sharp);
        const radius = (width < 500 ? 4.5 : 5.5) * Math.min(view.zoom ** 0.3, 1.8);
        const ring = (place, by, color, thick) => {
            ctx.beginPath();
            ctx.arc(...at(place), radius + by, 0, 7);
            for (const [width, tint] of [[thick + 3, paper], [thick, color]]) {
                ctx.lineWidth = width;
                ctx.strokeStyle = tint;
                ctx.stroke();
            }
        };
        for (const point of data.points) {
            const [x, y] = at(point);
            if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
            ctx.beginPath();
            ctx.arc(x, y, radius, 0, 7);
            ctx.fillStyle = data.colors[point[2]];
            ctx.fill();
            ctx.lineWidth = 1;
            ctx.strokeStyle = edge;
            ctx.stroke();
        }
        for (const index of data.matches) ring(data.points[index], 4, accent, 3);
        if (data.query) ring(data.query, 8, ink, 4);
        if (chosen !== null) ring(data.points[chosen], 3, ink, 2);
        nameGroups(width, height);
        area.style.touchAction = view.zoom > 1 ? "none" : "pan-y";
    };
    // Larger groups first; a name that would lie over another is left out.
    const nameGroups = (width, height) => {
        const taken = [], names = all(".name", area);
        const sizes = names.map((name) => [name.offsetWidth / 2 + 3, name.offsetHeight / 2 + 1]);
        names.forEach((name, index) => {
            const {at: place, level} = data.groups[index], [x, y] = at(place), [half, tall] = sizes[index];
            const isIn = x > half && y > tall && x < width - half && y < height - tall;
            const isFree = taken.every(([a, b, c, d]) => Math.abs(a - x) > c + half || Math.abs(b - y) > d + tall);
            const isShown = isIn && isFree && (!level || view.zoom >= NAMED_ALL);
            name.classList.toggle("shown", isShown);
            if (isShown) taken.push([x, y, half, tall]);
            name.style.translate = `${x - half + 3}px ${y - tall + 1}px`;
        });
    };
    const move = (zoom, x, y) => {
        const [width, height] = size();
        view = {zoom, x: clamp(x, width * (1 - zoom), 0), y: clamp(y, height * (1 - zoom), 0)};
        draw();
        if (chosen !== null) showCard();
    };
    const zoomBy = (factor, x, y) => {
        const zoom = clamp(view.zoom * factor, 1, MOST), by = zoom / view.zoom;
        move(zoom, x - (x - view.x) * by, y - (y - view.y) * by);
    };

    // --- the picture of a point ---
    const card = () => find("#map .card");
    const choose = (index, isFixed) => {
        chosen = index;
        card().hidden = index === null;
        card().classList.toggle("fixed", Boolean(isFixed));
        if (index !== null) {
            const [, , , id, garment, url] = data.points[index];
            card().dataset.id = id;
            find("img", card()).src = url;
            find("span", card()).textContent = garment;
            showCard();
        }
        draw();
    };
    const showCard = () => {
        const [x, y] = at(data.points[chosen]), [width, height] = size();
        const [wide, tall] = [card().offsetWidth, card().offsetHeight];
        card().style.left = `${clamp(x < width / 2 ? x + 16 : x - wide - 16, 4, width - wide - 4)}px`;
        card().style.top = `${clamp(y - tall / 2, 4, height - tall - 4)}px`;
    };
    const searchWith = (index) => search(changed({crop: "", id: data.points[index][3]}), "");

    // --- pointers: hover shows, a click searches; a finger's tap shows, and its picture searches; drag and pinch ---
    const pointers = new Map();
    let isDragged = false;
    const here = (event) => {
        const {left, top} = area.getBoundingClientRect();
        return [event.clientX - left, event.clientY - top];
    };
    const middle = () => {
        const [[ax, ay], [bx, by]] = [...pointers.values()];
        return [(ax + bx) / 2, (ay + by) / 2, Math.hypot(ax - bx, ay - by)];
    };
    const down = (event) => {
        if (event.button) return;
        pointers.set(event.pointerId, here(event));
        isDragged = pointers.size > 1;
        area.setPointerCapture(event.pointerId);
    };
    const moved = (event) => {
        const [x, y] = here(event), before = pointers.get(event.pointerId);
        if (!before) return event.pointerType === "mouse" && choose(nearest(x, y, 14));
        if (!isDragged && Math.hypot(x - before[0], y - before[1]) < 5) return;
        isDragged = true;
        if (pointers.size === 1) {
            pointers.set(event.pointerId, [x, y]);
            return move(view.zoom, view.x + x - before[0], view.y + y - before[1]);
        }
        const [oldX, oldY, old] = middle();
        pointers.set(event.pointerId, [x, y]);
        const [newX, newY, now] = middle();
        view = {...view, x: view.x + newX - oldX, y: view.y + newY - oldY};
        zoomBy(now / Math.max(old, 1), newX, newY);
    };
    const up = (event) => {
        if (!pointers.delete(event.pointerId) || pointers.size || isDragged || event.type === "pointercancel") return;
        const isMouse = event.pointerType === "mouse", index = nearest(...here(event), isMouse ? 14 : 28);
        if (isMouse && index !== null) searchWith(index);
        else choose(index, true);
    };
    const wheel = (event) => {
        if (!event.ctrlKey && !event.metaKey && document.activeElement !== area) return;
        event.preventDefault();
        zoomBy(Math.exp(-event.deltaY * 0.002), ...here(event));
    };

    // --- keys: arrows go to the nearest point on that side ---
    const middlemost = () => nearest(...(data.query ? at(data.query) : size().map((length) => length / 2)), 1e6);
    const neighbor = (dx, dy) => {
        const [x, y] = at(data.points[chosen]);
        let best = chosen, least = Infinity;
        data.points.forEach((point, index) => {
            const [px, py] = at(point), ahead = (px - x) * dx + (py - y) * dy;
            const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
            if (index !== chosen && ahead > 0.5 && ahead >= aside && ahead + 2 * aside < least)
                [best, least] = [index, ahead + 2 * aside];
        });
        return best;
    };
    const reach = (index) => {
        const [width, height] = size(), [x, y] = at(data.points[index]);
        if (x < 0 || y < 0 || x > width || y > height) move(view.zoom, view.x + width / 2 - x, view.y + height / 2 - y);
        choose(index);
        find("#map [role=status]").textContent = data.points[index][4];
    };
    const key = (event) => {
        const [x, y] = chosen === null ? size().map((length) => length / 2) : at(data.points[chosen]);
        const arrow = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
        if (arrow) reach(chosen === null ? middlemost() : neighbor(...arrow));
        else if ("+=".includes(event.key)) zoomBy(1.5, x, y);
        else if (event.key === "-") zoomBy(1 / 1.5, x, y);
        else if (event.key === "0") move(1, 0, 0);
        else if (event.key === "Escape") choose(null);
        else if (["Enter", " "].includes(event.key) && chosen !== null) searchWith(chosen);
        else return;
        event.preventDefault();
    };

    const drawn = new ResizeObserver(draw);
    // The map was put onto the page.
    const mapped = () => {
        const found = find("#map .area");
        if (!found || found === area) return;
        [area, data, chosen] = [found, JSON.parse(found.dataset.map), null];
        pointers.clear();
        for (const {name, level} of data.groups) {
            const shown = Object.assign(document.createElement("span"), {className: "name", textContent: name});
            shown.classList.toggle("part", level > 0);
            area.append(shown);
        }
        const handlers = {pointerdown: down, pointermove: moved, pointerup: up, pointercancel: up, keydown: key};
        for (const [type, handler] of Object.entries(handlers)) area.addEventListener(type, handler);
        area.addEventListener("wheel", wheel, {passive: false});
        area.addEventListener("pointerleave", () => !card().classList.contains("fixed") && choose(null));
        area.addEventListener("focus", () => area.matches(":focus-visible") && chosen === null && reach(middlemost()));
        find("#map .zoom").addEventListener("click", ({target}) => {
            const factor = Number(target.closest("button")?.dataset.zoom);
            const [width, height] = size();
            if (factor) zoomBy(factor, width / 2, height / 2);
            else if (factor === 0) move(1, 0, 0);
        });
        drawn.disconnect();
        drawn.observe(area);
    };
    new MutationObserver(draw).observe(document.body, {attributeFilter: ["class"]}); // light or dark
    Object.assign(window.apparel, {mapped});
}
