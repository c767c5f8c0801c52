// A photo from anywhere: a file or the address of a picture that is pasted (Ctrl+V) or dropped on the page, or an
// address that is typed where words are.
() => {
    const {find, fill} = window.apparel;
    const hint = () => find("#drop-hint");
    let taken = 0;
    const take = (source) => fill("#taken", `${source}#${++taken}`); // the same one twice is taken twice
    const say = (text) => {
        const line = find("#said");
        line.textContent = text;
        setTimeout(() => line.textContent === text && (line.textContent = ""), 8000);
    };
    const upload = async (file) => {
        if (file.size > Number(hint().dataset.most)) return say(hint().dataset.tooLarge);
        const form = new FormData();
        form.append("files", file, file.name || "photo");
        find("#photo").setAttribute("aria-busy", "true");
        try {
            const answer = await fetch("gradio_api/upload", {method: "POST", body: form});
            if (!answer.ok) throw new Error(answer.status);
            take((await answer.json())[0]);
        } catch {
            say(hint().dataset.failed);
        } finally {
            find("#photo").removeAttribute("aria-busy");
        }
    };
    const addressIn = (text) => text?.trim().match(/^https?:\/\/\S+$/i)?.[0];
    const isWords = (target) => target.closest?.("#words");
    const isTyping = (target) => target.closest?.("input, textarea") && !isWords(target);

    // Files before texts: a picture that is copied from a page is both.
    document.addEventListener("paste", (event) => {
        const file = [...event.clipboardData.files][0], address = addressIn(event.clipboardData.getData("text"));
        if (find("dialog[open]") || (!file && (!address || isTyping(event.target)))) return;
        event.preventDefault();
        event.stopPropagation();
        if (file) upload(file);
        else take(address);
    }, true);
    document.addEventListener("keydown", (event) => {
        const address = event.key === "Enter" && isWords(event.target) && addressIn(event.target.value);
        if (!address) return;
        event.preventDefault();
        event.stopPropagation();
        fill("#words", "");
        take(address);
    }, true);

    // "More photos" takes what is dropped on it by itself.
    const isOurs = ({dataTransfer, target}) =>
        !target.closest?.("#more") && ["Files", "text/uri-list"].some((type) => dataTransfer?.types.includes(type));
    let leaving = 0;
    const show = (isShown) => hint().classList.toggle("shown", isShown);
    for (const type of ["dragenter", "dragover"])
        document.addEventListener(type, (event) => {
            if (!isOurs(event)) return;
            event.preventDefault();
            clearTimeout(leaving); // the browser says again and again that something is dragged, and not that it left
            leaving = setTimeout(() => show(false), 400);
            show(true);
        }, true);
    document.addEventListener("drop", async (event) => {
        if (!isOurs(event)) return;
        event.preventDefault();
        event.stopPropagation();
        show(false);
        const file = [...event.dataTransfer.files][0];
        const address = event.dataTransfer.getData("text/uri-list").split(/[\r\n]+/).find((line) => line && !line.startsWith("#"));
        if (file) upload(file);
        else if (address?.startsWith("data:")) upload(await (await fetch(address)).blob());
        else if (address) take(address);
    }, true);
}
