/* The portal's own script. Every page works without it. All event names of htmx stand here and nowhere else. */
(() => {
  "use strict";
  const HTMX = { before: "htmx:beforeRequest", after: "htmx:afterRequest", swapped: "htmx:afterSettle", lost: ["htmx:sendError", "htmx:timeout"] };
  /* A person pressed something; anything else (polling, a draft saved while typing) must not move the focus or clear a notice. */
  const isAct = ({ requestConfig }) => ["click", "submit"].includes(requestConfig?.triggeringEvent?.type);
  const all = (selector, root = document) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  const fill = (pattern, values) => pattern.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

  /* ---- Log-off: the server decides, this only shows when. Tabs tell each other of a later end. ---- */
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("session") : null;
  const SPOKEN = [120, 60, 30];
  let ends = 0, ahead = 0, wasSpoken = Infinity, written = null;
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const now = () => Date.now() + ahead;  /* by the server's clock, where the page says it (data-now) */

  function setEnds(at, isToTell = true) {
    if (!(at > ends)) return;
    ends = at;
    wasSpoken = Infinity;
    if (isToTell) channel?.postMessage(at);
    tick();
  }

  /* Asked for anew, not reloaded: a browser would stop to ask whether to send the form of an answered POST again. */
  const leave = (to = location.pathname + location.search) => { ends = Infinity; location.replace(to); };

  function tick() {
    const shown = document.querySelector("[data-log-off]");
    if (!shown || !ends || ends === Infinity) return;
    const seconds = Math.max(0, Math.round((ends - now()) / 1000));
    if (seconds === 0) { leave(); return; }
    const isSoon = seconds <= 120;
    const left = isSoon ? clock(seconds) : fill(shown.dataset.minutes, { n: Math.ceil(seconds / 60) });
    const text = fill(shown.dataset.pattern, { left });
    if (shown.textContent !== text) shown.textContent = text;
    const warning = document.getElementById("timeout");
    if (warning) {
      if (!isSoon && warning.contains(document.activeElement)) written?.focus();  /* back to what the person was writing */
      warning.hidden = !isSoon;
      warning.querySelector("[data-timeout-clock]").textContent = clock(seconds);
    }
    const due = SPOKEN.find((at) => seconds <= at && at < wasSpoken && seconds > at - 10);
    const said = document.getElementById("timeout-said");
    if (due && said) {
      wasSpoken = due;
      said.textContent = fill(said.dataset.pattern, { left });
    }
  }

  async function stay(form) {
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" } });
    } catch { showOffline(true); return; }
    const later = answer.ok && !answer.redirected ? await answer.json().catch(() => null) : null;
    if (later?.ends) setEnds(later.ends);
    else leave();  /* the session is over: the answer was the log-in page */
  }

  /* ---- What is being sent can be taken back for some seconds: the server decides, this only counts. ---- */
  function countDown() {
    for (const part of all("[data-arrives]")) {
      const left = Math.ceil((Number(part.dataset.arrives) - now()) / 1000), said = part.querySelector("[data-pattern]");
      if (left > 0) {
        if (said) said.textContent = fill(said.dataset.pattern, { n: left });
        continue;
      }
      if (part.dataset.then) {
        part.textContent = part.dataset.then;
        delete part.dataset.arrives;
        continue;
      }
      const hadFocus = part.contains(document.activeElement), around = part.parentElement;
      part.remove();
      if (hadFocus) focusIn(around);
    }
  }

  /* ---- Characters left: code points, counted as the server keeps them. Said aloud at most every twenty. ---- */
  function count(control) {
    const foot = document.getElementById(`${control.id}-count`);
    if (!foot) return;
    const max = Number(control.dataset.max), left = max - [...control.value.replace(/\r\n?/g, "\n").normalize("NFC")].length;
    const number = new Intl.NumberFormat(document.documentElement.lang);
    foot.textContent = fill(left < 0 ? foot.dataset.over : foot.dataset.left, { n: number.format(Math.abs(left)), max: number.format(max) });
    foot.classList.toggle("is-over", left < 0);
    if (!foot.said) {  /* the foot changes with every key, so a second, hidden one is what is read aloud */
      foot.said = document.createElement("span");
      foot.said.className = "visually-hidden";
      foot.said.setAttribute("aria-live", "polite");
      foot.saidAt = left;
      foot.after(foot.said);
    }
    if (Math.abs(left - foot.saidAt) < 20 && left < 0 === foot.saidAt < 0) return;
    foot.saidAt = left;
    foot.said.textContent = foot.textContent;
  }

  /* ---- A field that only some choices need: data-shows="hand_over=Pick up,Mail". The server decides anyway. ---- */
  function showConditional(root) {
    for (const part of all("[data-shows]", root)) {
      const form = part.closest("form"), [name, values] = part.dataset.shows.split("=");
      const chosen = form ? new FormData(form).getAll(name) : [];
      part.hidden = !values.split(",").some((value) => chosen.includes(value));
    }
  }

  /* ---- Drafts: saved ten seconds after the last key, at the latest a minute after the first, and on leaving. The browser
     itself keeps nothing: the next person may sit here. ---- */
  const SAVE_AFTER = 10_000, SAVE_AT_LATEST = 60_000, GIVE_UP = 20_000;
  const LARGE = 62_000;  /* bytes; a request that outlives its page may have 64 kB with all its headings */
  const drafts = "BroadcastChannel" in window ? new BroadcastChannel("drafts") : null;
  const draftForms = () => [...document.querySelectorAll("form[data-draft]")];
  const around = (form) => form.closest("[data-draft-root]") ?? form.parentElement;
  const saidOf = (form) => around(form).querySelector("[data-draft-said]");

  function change(form) {
    if (!form.isChanged) form.changedAt = Date.now();
    form.isChanged = true;
    clearTimeout(form.waits);
    form.waits = setTimeout(() => keepDraft(form), Math.max(0, Math.min(SAVE_AFTER, form.changedAt + SAVE_AT_LATEST - Date.now())));
  }

  function sayDraft(form, text) {
    const said = saidOf(form);
    if (said && text && said.textContent !== text) said.textContent = text;
  }

  /* Leaving: nobody can be asked any more, so the server keeps both where another window or device was faster. */
  async function keepDraft(form, isLeaving = false) {
    clearTimeout(form.waits);
    if (!form.isConnected || !form.isChanged || form.isSending || (form.isAsked && !isLeaving)) return;
    if (form.saving && !isLeaving) { form.waits = setTimeout(() => keepDraft(form), SAVE_AFTER); return; }
    const body = new FormData(form);
    body.set("draft_version", Number(body.get("draft_version")) + (form.saving ?? 0));  /* what is on its way arrives first */
    if (form.isToAttach) body.set("attach", "yes");  /* to be kept even if nothing is written yet */
    if (isLeaving) body.set("leaving", "yes");
    form.isLarge = new Blob([...body.values()]).size > LARGE;
    form.isChanged = false;
    form.saving = (form.saving ?? 0) + 1;
    let answer = null;
    try {
      const signal = AbortSignal.timeout(GIVE_UP), keepalive = isLeaving && !form.isLarge;
      answer = await fetch(form.dataset.draft, { method: "POST", body, headers: { Accept: "application/json" }, keepalive, signal });
    } catch { /* the network is away */ }
    form.saving -= 1;
    if (!form.isConnected || form.isSending) return;
    setEnds(Number(answer?.headers.get("Session-Ends")));  /* writing is being there */
    if (answer?.status === 401 && answer.headers.get("Location")) {  /* the session is over: the server has kept the text */
      form.isLost = false;
      leave(answer.headers.get("Location"));
      return;
    }
    const kept = answer && answer.status < 500 ? await answer.json().catch(() => ({})) : {}, said = saidOf(form)?.dataset ?? {};
    form.isLost = form.isRefused = false;
    if (answer?.ok) takeVersion(form, kept);
    else if (answer?.status === 409) { form.isChanged ||= !isLeaving; askWhich(form, kept); }
    else if (answer?.status === 410) sayDraft(form, said.sent);
    else {
      const isRefused = answer && answer.status < 500 && answer.status !== 429;  /* asking again would change nothing */
      sayDraft(form, isRefused ? said.refused : answer?.status === 429 ? said.full : said.lost);
      form.isLost = true;
      form.isRefused = isRefused;
      if (isRefused) form.isChanged = true;
      else setTimeout(change, isLeaving ? 1000 : 0, form);  /* a browser calls it failed when the page goes: not twice then */
    }
  }

  function takeVersion(form, { version, said }) {
    sayDraft(form, said);
    if (!version) return;
    form.elements.draft_version.value = Math.max(version, Number(form.elements.draft_version.value));
    drafts?.postMessage({ key: form.dataset.key, version });
  }

  /* Reload, Back and log-in lead to this form again. */
  function nameInAddress(form) {
    const url = new URL(location);
    if (url.pathname !== form.elements.about.value || url.searchParams.get("draft") === form.dataset.key) return;
    url.searchParams.set("draft", form.dataset.key);
    history.replaceState(history.state, "", url);
  }

  /* Another window or device knows a newer version: neither overwrites the other before the person has chosen. The focus
     stays where it is: somebody may be typing. */
  function askWhich(form, { version }) {
    const asked = around(form).querySelector("[data-draft-newer]")?.content.firstElementChild.cloneNode(true);
    if (!asked || form.isAsked) return;
    form.isAsked = asked;
    asked.querySelector(version ? "[data-is-deleted]" : "[data-is-newer]").remove();
    const open = asked.querySelector("[data-open-newer]");
    if (version) open.href = `${form.elements.about.value}?draft=${form.dataset.key}`;
    else open.remove();
    asked.querySelector("[data-keep-mine]").addEventListener("click", () => {
      form.elements.draft_version.value = version;
      form.isAsked = null;
      form.isChanged = true;
      asked.remove();
      form.querySelector("textarea")?.focus();
      keepDraft(form);
    });
    saidOf(form).before(asked);
    asked.scrollIntoView({ block: "nearest" });
  }

  if (drafts) drafts.onmessage = ({ data }) => {
    for (const form of draftForms()) {
      if (form.dataset.key === data.key && Number(form.elements.draft_version.value) < data.version) askWhich(form, data);
    }
  };
  const keepAll = () => draftForms().forEach((form) => keepDraft(form, true));
  window.addEventListener("pagehide", keepAll);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") keepAll(); });
  window.addEventListener("beforeunload", (event) => {  /* earlier than pagehide: a reload shall find it saved */
    keepAll();
    const isAtRisk = (form) => form.isAttaching || !form.isSending && (form.isLost || (form.saving && (form.isLarge || !navigator.onLine)));
    if (draftForms().some(isAtRisk)) event.preventDefault();
  });

  /* ---- Files: the draft is kept, so that they have where to lie; then one request a file. ---- */
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const filesOf = (form) => form.querySelector("[data-files]");

  async function attachAll(form, chosen) {
    if (!chosen.length || form.isAttaching) return;
    form.isAttaching = true;
    try {
      while (form.saving) await pause(100);
      form.isChanged = form.isToAttach = true;
      await keepDraft(form);
      form.isToAttach = false;
      if (!Number(form.elements.draft_version.value)) return;  /* not kept: the line of the draft says why */
      nameInAddress(form);
      for (const file of chosen) if (!await attach(form, file)) break;
    } finally { form.isAttaching = false; }
  }

  /* Whether the next one may follow. */
  async function attach(form, file) {
    const { files, most, going, large } = filesOf(form).dataset;
    if (file.size > Number(most)) { sayDraft(form, fill(large, { name: file.name })); return false; }
    sayDraft(form, fill(going, { name: file.name }));
    const body = new FormData();
    body.set("csrf_token", form.elements.csrf_token.value);
    body.set("file", file);
    return changeFiles(form, files, body);
  }

  async function changeFiles(form, address, body) {
    let answer = null, html = "";
    try {
      answer = await fetch(address, { method: "POST", body, headers: { "HX-Request": "true" } });
      html = await answer.text();
    } catch { sayDraft(form, filesOf(form).dataset.lost); return false; }
    if (!form.isConnected) return false;
    setEnds(Number(answer.headers.get("Session-Ends")));
    if (answer.headers.get("HX-Redirect")) { leave(answer.headers.get("HX-Redirect")); return false; }
    if (answer.headers.get("HX-Retarget")) {
      const alerts = document.getElementById("alerts");
      alerts.innerHTML = html;
      alerts.querySelector("[data-focus]")?.focus();
      sayDraft(form, " ");
      return false;
    }
    const hadFocus = filesOf(form).contains(document.activeElement);
    filesOf(form).outerHTML = html;
    if (hadFocus || document.activeElement === document.body) filesOf(form).querySelector("[data-attach]").focus();
    sayDraft(form, filesOf(form).dataset.done);
    return answer.ok;
  }

  /* ---- Notices, focus, the open row ---- */
  function showOffline(isToFocus) {
    const alerts = document.getElementById("alerts");
    alerts.replaceChildren(document.getElementById("offline-notice").content.cloneNode(true));
    if (isToFocus) alerts.firstElementChild.focus();
  }

  /* What asks for the focus, else the heading; where neither is and the focused thing is gone, the first control. */
  function focusIn(part) {
    const head = part.querySelector("h1, h2");
    const wanted = all("[data-focus]", part)[0] ?? head ?? (document.activeElement === document.body ? part.querySelector("a[href], button") : null);
    if (wanted && wanted === head && !head.hasAttribute("tabindex")) head.tabIndex = -1;
    wanted?.focus();
  }

  /* Marks the row of a link as the open one and returns the link that was marked before. Read or unread is the server's to say. */
  const listOf = (link) => link.closest("#message-rows tbody tr, .list > li")?.parentElement;
  function markRow(list, link) {
    const before = list.querySelector(":scope > .is-open a[aria-current]");
    before?.removeAttribute("aria-current");
    for (const row of list.querySelectorAll(":scope > .is-open")) row.classList.remove("is-open");
    link?.closest("tr, li").classList.add("is-open");
    link?.setAttribute("aria-current", "true");
    return before;
  }

  function prepare(part) {
    all("[data-max]", part).forEach(count);
    showConditional(part);
    all("form[data-unsaved]", part).forEach(change);
    for (const end of all("[data-ends]", part)) setEnds(Number(end.dataset.ends));
  }

  /* ---- Listening ---- */
  document.addEventListener("DOMContentLoaded", () => {
    const end = document.querySelector("[data-ends]");
    if (end?.dataset.now) ahead = Number(end.dataset.now) - Date.now();
    /* A clock that is wrong would reload for ever: then the time of day written by the server stays. */
    if (end && Number(end.dataset.ends) <= now()) ends = Infinity;
    prepare(document);
    document.querySelector("[data-focus]")?.focus();
    setInterval(() => { tick(); countDown(); }, 1000);
  });
  if (channel) channel.onmessage = ({ data }) => setEnds(data, false);

  /* Going back must never show a filled form that could be sent again. */
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  document.addEventListener("focusin", ({ target }) => { if (!target.closest("#timeout")) written = target; });
  document.addEventListener("input", ({ target }) => {
    if (target.matches("[data-max]")) count(target);
    if (!target.form?.matches("[data-draft]")) return;
    change(target.form);
    nameInAddress(target.form);
  });
  document.addEventListener("click", ({ target }) => { if (target.closest("[data-print]")) window.print(); });
  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-chooser]")) {
      attachAll(target.form, [...target.files]);
      target.value = "";  /* the same file may be chosen once more */
      return;
    }
    if (target.form) showConditional(target.form);
    if (!target.matches("[data-tick-all]") || !target.form) return;
    for (const box of target.form.elements) {
      if (box.type === "checkbox" && box.name === target.dataset.tickAll && !box.disabled) box.checked = target.checked;
    }
  });

  /* A nervous second click within three seconds is dropped here; the form's key stops every other repeat on the server. */
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter?.name ?? "";
    if (form.matches("[data-stay]")) { event.preventDefault(); stay(form); return; }
    if (event.submitter?.matches("[data-attach], [data-detach]") && !form.isRefused) {
      event.preventDefault();
      event.stopImmediatePropagation();
      const { detach } = event.submitter.dataset;
      if (detach) changeFiles(form, detach, new URLSearchParams({ csrf_token: form.elements.csrf_token.value }));
      else if (!form.isAttaching) form.querySelector("[data-chooser]").click();
      return;
    }
    if (form.isAttaching) {  /* it would leave without the file */
      event.preventDefault();
      event.stopImmediatePropagation();
      sayDraft(form, filesOf(form).dataset.still);
      return;
    }
    if (event.submitter?.matches("[data-keep-draft]") && !form.isRefused) {
      event.preventDefault();
      event.stopImmediatePropagation();
      form.isChanged = true;
      keepDraft(form);
      return;
    }
    if (form.getAttribute("method")?.toLowerCase() !== "post") return;
    if (form.sentAt && form.sentBy === button && event.timeStamp - form.sentAt < 3000) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    form.isSending = true;  /* from here on no draft of it may be saved: it would come back after it was sent */
    form.sentAt = event.timeStamp;
    form.sentBy = button;
  }, true);

  document.addEventListener(HTMX.before, ({ detail }) => {
    if (!isAct(detail)) return;
    document.getElementById("alerts").replaceChildren();
    keepAll();  /* what is asked for may take the place of a form */
    const link = detail.requestConfig.elt, list = link.matches("a.item-title") && listOf(link);
    if (list) detail.requestConfig.unmark = markRow.bind(null, list, markRow(list, link));
  });

  document.addEventListener(HTMX.after, ({ detail }) => {
    const { xhr, requestConfig } = detail;
    const later = Number(xhr.getResponseHeader("Session-Ends"));
    if (later) setEnds(later);
    if (xhr.status >= 200 && xhr.status < 400) return;
    const form = requestConfig.elt.closest("form");
    if (form) delete form.sentAt, form.isSending = false;  /* what failed may be sent again at once */
    if (form?.matches("[data-draft]") && !(xhr.status >= 400 && xhr.status < 500)) { form.isLost = true; change(form); }
    requestConfig.unmark?.();
  });

  /* Polling that fails says nothing: the next act will. */
  for (const name of HTMX.lost) document.addEventListener(name, ({ detail }) => { if (detail.requestConfig.triggeringEvent) showOffline(isAct(detail)); });

  /* Comes once for every part of an answer; the focus goes into the part that was aimed at, not into those beside it. */
  document.addEventListener(HTMX.swapped, ({ target, detail }) => {
    prepare(target);
    const aimed = detail.target?.isConnected ? detail.target : document.getElementById(detail.target?.id);
    if (!aimed || target !== aimed || !isAct(detail) || aimed.closest("[data-keep-focus]")) return;
    focusIn(aimed);
  });
})();
