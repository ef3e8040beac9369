(() => {
  "use strict";
  if (window.sombReport) return;
  const page = document.documentElement;

  // Figures, coloured by the page's light or dark theme. The book serves plotly.js beside its other scripts.
  let loading;
  function plotly() {
    loading ??= window.Plotly ? Promise.resolve(window.Plotly) : new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = `${page.dataset.content_root || "../"}_static/plotly.min.js`;
      script.onload = () => (window.Plotly ? done(window.Plotly) : fail());
      script.onerror = fail;
      document.head.append(script);
    });
    return loading;
  }
  function colours(target) {
    const style = getComputedStyle(target.closest(".somb-llm"));
    const ink = (name) => style.getPropertyValue(name).trim();
    const change = { "font.color": ink("--ink"), "hoverlabel.bgcolor": ink("--card"), "hoverlabel.font.color": ink("--ink") };
    const axes = Object.keys(target.layout).filter((key) => /^[xy]axis/.test(key));
    if (target.layout.polar) axes.push("polar.radialaxis", "polar.angularaxis");
    for (const axis of axes) change[`${axis}.gridcolor`] = change[`${axis}.linecolor`] = ink("--line");
    return change;
  }
  const drawn = [];
  const paint = (target) => window.Plotly.relayout(target, colours(target));
  function draw(target) {
    const figure = JSON.parse(target.nextElementSibling.textContent);
    target.style.height = `${figure.layout.height}px`;
    if (target.clientWidth < 420) figure.layout.font.size = 11;
    plotly()
      .then((library) => library.newPlot(target, figure.data, figure.layout, { responsive: true, displayModeBar: false }))
      .then(() => { drawn.push(target); return paint(target); })
      .catch(() => { target.textContent = "This figure could not be drawn; the same numbers are in a table on this page."; });
  }
  const repaint = () => drawn.forEach(paint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  new MutationObserver(repaint).observe(page, { attributes: true, attributeFilter: ["data-theme"] });

  // Explorer: every text is put in as text, never as markup.
  const el = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };
  const words = (name) => String(name).replaceAll("_", " ");
  const unique = (values) => [...new Set(values)];
  const ORDERS = {
    id: (a, b) => a.question_id.localeCompare(b.question_id) || a.model.localeCompare(b.model),
    low: (a, b) => (a.score ?? 9) - (b.score ?? 9),
    high: (a, b) => (b.score ?? 0) - (a.score ?? 0),
    apart: (a, b) => b.apart - a.apart,
  };

  function explorer(root) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const rows = data.answers.map((row) => {
      const scores = row.verdicts.map((v) => v.score).filter((score) => score !== null);
      return {
        ...row, ...data.questions[row.question_id],
        apart: scores.length > 1 ? Math.max(...scores) - Math.min(...scores) : -1,
        flags: unique(row.verdicts.flatMap((v) => v.flags)),
      };
    });
    const $ = (name) => root.querySelector(`[data-part=${name}]`);
    const selects = [...root.querySelectorAll("select[data-key]")];
    const flag = $("flag"), order = $("order"), find = $("find"), items = $("items"), more = $("more");

    function fill(select, values) {
      for (const value of values) { const option = el("option", words(value)); option.value = value; select.append(option); }
      select.hidden = select.options.length < 3 && select !== flag || select.options.length < 2;
    }
    selects.forEach((select) => fill(select, unique(rows.map((row) => row[select.dataset.key]))));
    fill(flag, unique(rows.flatMap((row) => row.flags)));

    function paragraph(parent, title, text, className) {
      if (text) parent.append(el("div", title, "soft"), el("div", text, className || "text"));
    }
    function list(parent, title, lines) {
      paragraph(parent, title, lines && lines.split("\n").map((line) => `• ${line}`).join("\n"));
    }
    function verdict(parent, entry) {
      const head = el("div");
      head.append(el("b", `Judge ${entry.judge}: `));
      head.append(entry.score === null ? el("span", `does not count, ${entry.reason}`, "bad")
                                       : el("span", entry.score.toFixed(2), "score"));
      parent.append(head);
      if (entry.levels) {
        parent.append(el("div", data.dimensions.map((name, k) => `${words(name)} ${entry.levels[k]}`).join(" · "), "soft"));
      }
      if (entry.flags.length) parent.append(el("div", `Flags: ${entry.flags.map(words).join(", ")}`, "soft"));
      paragraph(parent, "Justification", entry.justification);
      list(parent, "Strengths", entry.strengths);
      list(parent, "Weaknesses", entry.weaknesses);
      list(parent, "Missed", entry.missed_points);
    }
    function body(row) {
      const box = el("div");
      paragraph(box, "Question", row.question);
      paragraph(box, "Answer", row.answer || "(none)", "text answer");
      row.verdicts.forEach((entry) => verdict(box, entry));
      return box;
    }
    function item(row) {
      const details = el("details", undefined, "item"), head = el("summary");
      head.append(el("b", row.question_id), el("span", row.score === null ? "–" : row.score.toFixed(2), "score"));
      head.append(el("span", row.model), el("span", `${words(row.modality)}, ${row.difficulty}`, "tag"));
      if (row.status !== "ok") head.append(el("span", words(row.status), "tag bad"));
      details.append(head);
      details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(body(row)); });
      return details;
    }

    let chosen = [], visible = 0;
    function show(count) {
      for (const row of chosen.slice(visible, visible + count)) items.append(item(row));
      visible += count;
      more.hidden = visible >= chosen.length;
    }
    function refresh() {
      const needle = find.value.toLowerCase();
      chosen = rows.filter((row) => selects.every((s) => !s.value || String(row[s.dataset.key]) === s.value)
        && (!flag.value || row.flags.includes(flag.value))
        && (!needle || `${row.question}\n${row.answer}`.toLowerCase().includes(needle))).sort(ORDERS[order.value]);
      items.replaceChildren();
      visible = 0;
      $("count").textContent = `${chosen.length} of ${rows.length} answers`;
      show(20);
    }
    [...selects, flag, order].forEach((select) => select.addEventListener("change", refresh));
    find.addEventListener("input", refresh);
    more.addEventListener("click", () => show(40));
    refresh();
  }

  // Parts of a notebook come after this script: each calls it again.
  window.sombReport = () => {
    const ready = (selector, make) => document.querySelectorAll(`.somb-llm ${selector}:not([data-ready])`).forEach((node) => {
      node.dataset.ready = "yes";
      make(node);
    });
    ready("[data-figure]", draw);
    ready("[data-explorer]", explorer);
  };
  window.sombReport();
})();
