"use strict";
// Filters, sorts and pages the findings, and looks up stores. All text is put in as text.
(() => {
  const PAGE = 50; // rows at once: a screen or two, and quick to draw
  const PRINTED = 500; // rows on paper
  const STORES = 20; // stores of a look-up
  const RANKS = ["info", "low", "medium", "high"];
  const FILTERS = ["q", "severity", "change", "code", "market", "account"];
  const root = document.documentElement;
  const get = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(get(id).textContent);
  const number = (n) => n.toLocaleString("en");
  root.classList.add("js");

  // --- findings -----------------------------------------------------------------------------
  const { words, rows } = data("findings-data");
  const findings = rows.map(([rank, time, safe, ...texts], order) => {
    const [change, code, kind, place, shop, account, market, since, cause, fix, ...facts] =
      texts.map((n) => words[n]);
    const hay = [change, kind, place, shop, account, market, cause, fix, ...facts].join("\n");
    return {
      order, rank, time, safe, change, code, kind, place, shop, account, market, since, cause, fix,
      facts, hay: hay.toLowerCase(),
    };
  });
  const form = get("filters");
  const body = get("rows");
  let shown = findings;
  let page = 0;
  let sort = { key: "", down: false };

  const by = {
    severity: (a, b) => b.rank - a.rank,
    kind: (a, b) => compare(a.kind, b.kind),
    place: (a, b) => compare(a.place, b.place),
    since: (a, b) => b.time - a.time,
  };
  function compare(a, b) {
    return a < b ? -1 : a > b ? 1 : 0;
  }

  function matches(finding, wanted, terms) {
    return (
      (!wanted.severity || finding.rank >= RANKS.indexOf(wanted.severity)) &&
      (!wanted.change || finding.change === wanted.change) &&
      (!wanted.code || finding.code === wanted.code) &&
      (!wanted.market || finding.market === wanted.market) &&
      (!wanted.account || finding.account === wanted.account) &&
      terms.every((term) => finding.hay.includes(term))
    );
  }

  function wantedNow() {
    return Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value]));
  }

  function update() {
    const wanted = wantedNow();
    const terms = wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
    shown = findings.filter((finding) => matches(finding, wanted, terms));
    if (sort.key) {
      const sign = sort.down ? -1 : 1;
      shown.sort((a, b) => sign * by[sort.key](a, b) || a.order - b.order);
    }
    page = 0;
    draw(shown.slice(0, PAGE));
    say();
  }

  function say() {
    const all = findings.length === 1 ? "1 finding" : `${number(findings.length)} findings`;
    get("count").textContent =
      shown.length === findings.length ? `${all}.` : `${number(shown.length)} of ${all}.`;
    const last = Math.min(shown.length, (page + 1) * PAGE);
    get("where").textContent = shown.length
      ? `${number(page * PAGE + 1)} to ${number(last)} of ${number(shown.length)}`
      : "nothing matches";
    get("pages").querySelector("[data-page='-1']").disabled = page === 0;
    get("pages").querySelector("[data-page='1']").disabled = last >= shown.length;
  }

  function draw(some, isOpen = false) {
    const all = document.createDocumentFragment();
    for (const finding of some) {
      all.append(drawn(finding, isOpen));
    }
    body.replaceChildren(all);
  }

  function drawn(finding, isOpen) {
    const copy = get("finding").content.cloneNode(true);
    const [row, detail] = copy.querySelectorAll("tr");
    const slot = (name) => copy.querySelector(`[data-slot=${name}]`);
    const severity = RANKS[finding.rank];
    slot("severity").textContent = severity;
    slot("severity").className = `tag ${severity}`;
    const isSame = finding.change === "same";
    slot("change").textContent = isSame ? "" : finding.change.replace("-", " ").toUpperCase();
    for (const name of ["kind", "cause", "place", "shop", "since"]) {
      slot(name).textContent = finding[name];
    }
    slot("fix").replaceChildren(...typed(finding.fix));
    slot("note").textContent = noteOf(finding);
    slot("facts").replaceChildren(...finding.facts.map((fact) => element("li", fact)));
    detail.id = `detail-${finding.order}`;
    const toggle = row.querySelector(".toggle");
    toggle.setAttribute("aria-controls", detail.id);
    toggle.setAttribute("aria-label", `Details of ${finding.kind} at ${finding.place}`);
    open(row, detail, isOpen);
    return copy;
  }

  // A word of a command is never broken at its hyphens.
  function typed(command) {
    const parts = command.split(" ").filter(Boolean);
    return parts.flatMap((word, n) => (n ? [" "] : []).concat(element("span", word, "word")));
  }

  function noteOf(finding) {
    if (!finding.fix) {
      return "nothing need be done";
    }
    return finding.safe ? "fleet drift --fix may do it by itself" : "for a person to decide";
  }

  function element(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function open(row, detail, isOpen) {
    detail.classList.toggle("open", isOpen);
    row.querySelector(".toggle").setAttribute("aria-expanded", String(isOpen));
  }

  // --- the address keeps what was chosen ------------------------------------------------------
  function keep() {
    const kept = new URLSearchParams();
    for (const [name, value] of Object.entries(wantedNow())) {
      if (value) {
        kept.set(name, value);
      }
    }
    if (sort.key) {
      kept.set("sort", (sort.down ? "-" : "") + sort.key);
    }
    try {
      history.replaceState(null, "", kept.size ? `#${kept}` : "#findings");
    } catch {
      // A viewer of mail may give the page no address of its own: then nothing is kept.
    }
  }

  function recall() {
    if (!location.hash.includes("=")) {
      return false;
    }
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const name of FILTERS) {
      form.elements[name].value = kept.get(name) ?? "";
    }
    const key = (kept.get("sort") ?? "").replace(/^-/, "");
    sort = by[key] ? { key, down: kept.get("sort").startsWith("-") } : { key: "", down: false };
    mark();
    update();
    return true;
  }

  function mark() {
    for (const head of document.querySelectorAll("[data-sort]")) {
      head.removeAttribute("aria-sort");
      if (head.dataset.sort === sort.key) {
        head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      }
    }
  }

  function chosen() {
    update();
    keep();
  }

  function toFindings() {
    get("findings").scrollIntoView();
    get("findings").focus({ preventScroll: true });
  }

  function begin() {
    for (const head of document.querySelectorAll("[data-sort]")) {
      const button = element("button", head.textContent);
      button.type = "button";
      button.addEventListener("click", () => {
        const { key, down } = sort;
        const isSame = key === head.dataset.sort;
        sort = isSame && down ? { key: "", down: false } : { key: head.dataset.sort, down: isSame };
        mark();
        chosen();
      });
      head.replaceChildren(button);
    }
    form.addEventListener("input", chosen);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      sort = { key: "", down: false };
      mark();
      setTimeout(chosen); // the fields are empty only after this event
    });
    body.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row && !String(getSelection())) {
        const detail = row.nextElementSibling;
        open(row, detail, !detail.classList.contains("open"));
      }
    });
    get("pages").addEventListener("click", (event) => {
      const step = Number(event.target.dataset.page);
      if (step) {
        page += step;
        draw(shown.slice(page * PAGE, (page + 1) * PAGE));
        say();
        toFindings();
      }
    });
    addEventListener("hashchange", () => recall() && toFindings());
    if (recall()) {
      toFindings();
    } else {
      update();
    }
  }

  // --- paper has no buttons: everything that is chosen is printed unfolded -----------------------
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((one) => one.setAttribute("open", ""));
    if (form) {
      draw(shown.slice(0, PRINTED), true);
      const left = shown.length - PRINTED;
      get("count").textContent += left > 0 ? ` The first ${PRINTED} are printed.` : "";
    }
  });
  addEventListener("afterprint", () => {
    folded.forEach((one) => one.removeAttribute("open"));
    if (form) {
      draw(shown.slice(page * PAGE, (page + 1) * PAGE));
      say();
    }
  });

  // --- commands ---------------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) {
      return;
    }
    const code = button.parentElement.querySelector("code");
    let isCopied = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      isCopied = document.execCommand("copy"); // where the newer way is not allowed
    }
    button.textContent = isCopied ? "Copied" : "Selected";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });

  // --- any store ----------------------------------------------------------------------------------
  function runs(nights, { dates, letters }) {
    const told = [];
    for (let from = 0, to; from < nights.length; from = to) {
      for (to = from; nights[to] === nights[from]; to++);
      const state = letters[nights[from]];
      if (state && state !== "ok") {
        const until = to - from > 1 ? ` to ${dates[to - 1]} (${to - from} nights)` : "";
        told.push(`${state} ${dates[from]}${until}`);
      }
    }
    return told.join(", ") || "ok in every night that was scanned";
  }

  function lookUp(stores, hays, text) {
    const found = [];
    const terms = text.toLowerCase().split(/\s+/).filter(Boolean);
    hays.forEach((hay, n) => terms.every((term) => hay.includes(term)) && found.push(n));
    get("stores-count").textContent = !terms.length
      ? ""
      : `${found.length === 1 ? "1 store" : `${number(found.length)} stores`}` +
        (found.length > STORES ? `, the first ${STORES} shown.` : ".");
    const items = terms.length ? found.slice(0, STORES) : [];
    get("stores").replaceChildren(
      ...items.map((n) => {
        const [id, name, market, nights] = stores.stores[n];
        const item = element("li", "");
        item.append(element("b", id), ` ${name} · ${market} · ${runs(nights, stores)}`);
        const strip = element("span", "", "letters");
        strip.setAttribute("aria-hidden", "true");
        for (const letter of nights) {
          const state = (stores.letters[letter] ?? "").replace(" ", "-");
          strip.append(element("span", state === "ok" ? "" : letter, `cell ${state}`));
        }
        item.append(strip);
        return item;
      }),
    );
  }

  const search = get("lookup");
  if (search) {
    let stores;
    let hays;
    search.addEventListener("submit", (event) => event.preventDefault());
    search.addEventListener("input", (event) => {
      stores ??= data("stores-data"); // read when first asked: most readers never do
      hays ??= stores.stores.map((store) => store.slice(0, 3).join("\n").toLowerCase());
      lookUp(stores, hays, event.target.value);
    });
  }
  if (form) {
    begin();
  }
  performance.mark("fleet-ready");
})();
