/* The Message Box as it lives: news of the list, who else has a message open, single keys. Every page works without it. */
(() => {
  "use strict";
  const EVERY = 10_000;
  const part = (id) => document.getElementById(id);
  const pane = () => part("pane");
  const openKey = () => part("presence")?.dataset.key;
  const rowOf = (key) => key && part(`row-${key}`);

  /* Asked by the page, not by the person: it never keeps anybody logged in. Null: nothing new, or the network is away. */
  async function poll(address, { headers = {}, ...more } = {}) {
    const answer = await fetch(address, { cache: "no-store", redirect: "manual", headers: { "X-Poll": "1", ...headers }, ...more }).catch(() => null);
    if ((answer?.type === "opaqueredirect" || answer?.status === 401) && part("list")) leave();  /* the session is over */
    return answer?.ok || answer?.status === 404 ? answer : null;
  }

  function parsed(html) {
    const made = document.createElement("template");
    made.innerHTML = html;
    return made.content;
  }

  /* Puts a part where one of the same id stands, if it says something else. False: somebody is in it, so it has to wait. */
  function put(fresh) {
    const there = fresh && part(fresh.id);
    if (!there || there.innerHTML === fresh.innerHTML) return true;
    if (there.contains(document.activeElement)) return false;
    there.innerHTML = fresh.innerHTML;
    htmx.process(there);
    return true;
  }

  /* ---- What is taken away: what was typed in the pane is shown to copy. ---- */
  const typed = () => [...(pane()?.querySelectorAll("textarea, input[type=text]") ?? [])].map((one) => one.value.trim()).filter(Boolean).join("\n\n");

  function takeAway(place, notice) {
    const text = typed(), gone = part(notice).content.cloneNode(true);
    if (text) gone.querySelector("textarea").value = text;
    else gone.querySelector(".field").remove();
    place.replaceChildren(gone);
    place.querySelector("[data-focus]").focus();
  }

  /* Without the list nothing asks again, and without the header nothing counts down. */
  function leave() {
    if (!typed()) { location.replace(location.href); return; }
    document.querySelector("header").remove();
    takeAway(part("main"), "logged-off-notice");
  }

  /* ---- News of the list. What is read or typed stays where it is: rows change in place; new ones wait for a calm list. ---- */
  const rowsIn = (root) => [...root.querySelectorAll("#message-rows tbody > tr")];
  const isTicked = (row) => !!row.querySelector(".pick :checked");
  /* Nobody is in the list, with pointer, focus or ticks, and its head is in sight (or all of it hidden, beside a message on a phone). */
  const isCalm = (list) => !list.contains(document.activeElement) && !list.matches(":hover") && !rowsIn(list).some(isTicked)
    && (list.scrollTop === 0 && (scrollY === 0 || !list.offsetParent));

  function renew(row, fresh) {
    const tick = row.querySelector(".pick :checked");
    if (tick) fresh.querySelector(".pick input").value = tick.value;  /* the version that was ticked: nobody has seen a newer one */
    if (row.classList.contains("is-open")) {
      fresh.classList.add("is-open");
      fresh.querySelector("a.item-title").setAttribute("aria-current", "true");
    }
    if (row.className === fresh.className && row.innerHTML === fresh.innerHTML) return;
    const focused = ["a.item-title", ".pick input"].find((control) => row.querySelector(control) === document.activeElement);
    row.className = fresh.className;
    row.innerHTML = fresh.innerHTML;
    if (tick) row.querySelector(".pick input").checked = true;
    htmx.process(row);
    if (focused) row.querySelector(focused).focus({ preventScroll: true });
  }

  function showNews(fresh, isAsked) {
    const list = part("list"), there = fresh.querySelector("#list");
    const known = new Map(rowsIn(list).map((row) => [row.id, row])), rows = rowsIn(there);
    const added = rows.filter((row) => !known.has(row.id));
    const isSame = rows.length === known.size && !added.length && rows.every((row, n) => row.id === rowsIn(list)[n].id);
    for (const row of rows) if (known.has(row.id)) renew(known.get(row.id), row.cloneNode(true));
    const button = list.querySelector("[data-show-news]");
    list.waiting = null;
    button.hidden = true;
    if (isSame) return;
    if (!isAsked && !isCalm(list)) {
      list.waiting = fresh;  /* what takes the place of this list knows nothing of it */
      button.hidden = !added.length;
      button.textContent = added.length === 1 ? button.dataset.one : button.dataset.many.replace("%(n)s", added.length);
      return;
    }
    const body = list.querySelector("tbody"), open = rowOf(openKey());
    if (!body || !rows.length) {  /* from or to an empty list */
      list.replaceChildren(...there.childNodes);
      htmx.process(list);
    } else {
      const shown = rows.map((row) => known.get(row.id) ?? row);
      for (const [n, row] of [...body.children].entries()) {  /* it left the list, but is being read or is ticked */
        if ((row === open || isTicked(row)) && !shown.includes(row)) shown.splice(n, 0, row);
      }
      body.replaceChildren(...shown);
      list.querySelector(".pager")?.remove();
      list.append(...there.querySelectorAll(".pager"));
      htmx.process(body);
    }
    if (isAsked) list.scrollTo({ top: 0 });
  }

  async function askForNews() {
    const list = part("list");
    if (!list?.dataset.news || document.hidden) return;
    const answer = await poll(list.dataset.news, { headers: { "If-None-Match": `"${list.dataset.tag}"` } });
    const html = answer?.ok && await answer.text();
    if (!list.isConnected) return;  /* another search was made meanwhile */
    if (!html) {
      if (list.waiting) showNews(list.waiting, false);
      return;
    }
    const fresh = parsed(html), count = part("in-box-count"), now = fresh.querySelector("#in-box-count");
    if (document.title.startsWith(count.textContent)) document.title = document.title.replace(count.textContent, now.textContent);
    const isPut = [now, fresh.querySelector("#marked")].map(put);
    if (isPut.every(Boolean)) list.dataset.tag = fresh.querySelector("#list").dataset.tag;  /* else it is asked for once more */
    showNews(fresh, false);
  }

  /* ---- Who else is here ---- */
  async function beThere() {
    const there = part("presence");
    if (!there || document.hidden) return;
    const body = new FormData();
    body.set("csrf_token", document.querySelector("[name=csrf_token]").value);
    body.set("version", there.dataset.version);
    body.set("note", there.dataset.note);
    if (pane().querySelector("form[data-writes]")) body.set("writing", "yes");
    const answer = await poll(there.dataset.presence, { method: "POST", body });
    if (!answer || !there.isConnected) return;
    if (answer.status === 404) { lose(there.dataset.key); return; }
    const fresh = parsed(await answer.text());
    put(fresh.querySelector("#presence"));
    put(fresh.querySelector("#pane-news"));
  }

  /* It is not theirs any more. A form on its way is answered so itself: without it nobody could show that answer. */
  function lose(key) {
    if (inPane(".htmx-request")) return;
    takeAway(pane(), "gone-notice");
    rowOf(key)?.remove();
  }

  /* ---- Single keys, each for something on the page that is pressed in its place; the list stands in staff/keyboard.py ---- */
  const TYPED_IN = "input:not([type=checkbox]), textarea, select, [contenteditable]";
  const inPane = (selector) => pane()?.querySelector(selector);
  const links = () => [...document.querySelectorAll("#message-rows a.item-title")];
  const rowHere = () => document.activeElement.closest("#message-rows tbody tr") ?? rowOf(openKey());

  function step(by) {
    const link = inPane(`[data-side=${by > 0 ? "next" : "previous"}_message]`);
    if (link) { link.click(); return; }
    const all = links(), at = all.indexOf(rowHere()?.querySelector("a.item-title"));
    (at < 0 ? all[0] : all[at + by])?.focus();
  }

  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    o: () => (document.activeElement.closest("#message-rows tbody tr")?.querySelector("a.item-title") ?? links()[0])?.click(),
    r: () => inPane("[data-key=r]")?.click(),
    c: () => inPane("[data-key=c]")?.click(),
    e: () => (document.querySelector("#message-rows .pick :checked") ? document.querySelector("#many [value=close]") : inPane("[data-key=e]"))?.click(),
    x: () => rowHere()?.querySelector(".pick input")?.click(),
    "/": () => document.getElementById("f-last_name")?.focus(),
    "?": () => part("keyboard")?.click(),
  };

  document.addEventListener("keydown", (event) => {
    const { key, target } = event, send = inPane("form[data-writes] [data-send]");
    if (key === "Enter" && (event.ctrlKey || event.metaKey) && send && target.form === send.form) {
      event.preventDefault();
      send.click();
      return;
    }
    if (!document.querySelector("main[data-shortcuts]") || event.ctrlKey || event.metaKey || event.altKey || event.repeat || target.matches(TYPED_IN)) return;
    const act = KEYS[key] ?? (/^[1-6]$/.test(key) ? () => pane()?.querySelectorAll(".picks a.btn")[key - 1]?.click() : null);
    if (!act) return;
    event.preventDefault();
    act();
  });

  /* ---- Listening ---- */
  const ask = () => { askForNews(); beThere(); };
  document.addEventListener("DOMContentLoaded", () => {
    setInterval(ask, EVERY);
    beThere();
    if (pane()) new MutationObserver(() => {
      beThere();
      const row = rowOf(openKey());
      if (row && !row.classList.contains("is-open")) {  /* Next and Previous lead on in the list */
        for (const other of document.querySelectorAll("#message-rows .is-open")) {
          other.classList.remove("is-open");
          other.querySelector("[aria-current]")?.removeAttribute("aria-current");
        }
        row.classList.add("is-open");
        row.querySelector("a.item-title").setAttribute("aria-current", "true");
        row.scrollIntoView({ block: "nearest" });
      }
    }).observe(pane(), { childList: true });
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  document.addEventListener("click", ({ target }) => { if (target.closest("[data-show-news]")) showNews(part("list").waiting, true); });
})();
