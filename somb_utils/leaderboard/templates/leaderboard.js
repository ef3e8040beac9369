(() => {
  "use strict";
  const COLOURS = { random: "#8a8a8a", majority: "#b0b0b0", logreg: "#0072B2", rf: "#009E73", mlp: "#CC79A7",
    xgboost: "#D55E00", lightgbm: "#E69F00" };
  const SPARE = ["#56B4E9", "#7A5195", "#8C564B", "#4aa3a3", "#a3a34a"];
  const LOWER_IS_BETTER = new Set(["hamming_loss", "balanced_log_loss"]);
  const PAGE = { ranking: 50, models: 30, table: 100 };  // what is drawn at once, of however many
  const TIERS = ["calibration", "standard", "advanced", "frontier"];
  const esc = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const unique = (values) => [...new Set(values)];

  function board(root) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const { metrics } = data;
    let tasks = data.tasks[data.sources[0].protocol];  // as the protocol of the chosen source defines them
    const $ = (name) => root.querySelector(`[data-part=${name}]`);
    const form = root.querySelector("form");
    const fields = ["source", "tier", "modality", "metric", "model", "q"];
    const state = { sort: "task:asc", task: "", at: {} };
    const spare = new Map(data.models.filter((m) => !COLOURS[m]).map((m, k) => [m, SPARE[k % SPARE.length]]));

    const source = () => data.sources.find((s) => s.id === form.elements.source.value) || data.sources[0];
    const metricOf = (task) => form.elements.metric.value || tasks[task].metric;
    const label = (metric) => metrics[metric] || metric;
    const fixed = (value, metric) => value === null || value === undefined ? "–" : value.toFixed(metric === "auprc" && value < 0.1 ? 4 : 3);
    const colour = (model) => COLOURS[model] || spare.get(model);
    const byTask = (list) => {
      const groups = new Map();
      list.forEach((r) => groups.get(r.task)?.push(r) ?? groups.set(r.task, [r]));
      return groups;
    };
    const modelsOf = (list) => { const present = new Set(list.map((r) => r.model)); return data.models.filter((m) => present.has(m)); };
    const page = (name, all) => {  // the part of a long list that is drawn, and buttons to the others
      const size = PAGE[name], first = Math.min(state.at[name] || 0, Math.max(0, Math.ceil(all.length / size) - 1) * size);
      const button = (to, text) => `<button type="button" data-page="${name}:${to}"${to < 0 || to >= all.length ? " disabled" : ""}>${text}</button>`;
      const buttons = all.length <= size ? "" : `<p class="soft pages">${button(first - size, "Previous")} ${
        (first + 1).toLocaleString("en")} to ${Math.min(first + size, all.length).toLocaleString("en")} of ${all.length.toLocaleString("en")} ${button(first + size, "Next")}</p>`;
      return [all.slice(first, first + size), buttons];
    };
    const shown = (task) => {
      const t = tasks[task], words = form.elements.q.value.trim().toLowerCase();
      return (!form.elements.tier.value || t.tier === form.elements.tier.value)
        && (!form.elements.modality.value || t.modality === form.elements.modality.value)
        && (!form.elements.metric.value || t.metrics.includes(form.elements.metric.value))
        && (!words || `${task} ${t.name} ${t.question} ${t.category}`.toLowerCase().includes(words));
    };
    const rows = () => {
      const metric = new Map(Object.keys(tasks).filter(shown).map((id) => [id, metricOf(id)])), model = form.elements.model.value;
      return source().rows.filter((r) => r.metric === metric.get(r.task) && (!model || r.model === model));
    };
    const above = (r) => r.mean === null || r.chance === null ? null : (r.mean - r.chance) / (1 - r.chance);
    const bestOf = (list) => {
      const scored = list.filter((r) => r.mean !== null && !["random", "majority"].includes(r.model));
      const sign = scored.length && LOWER_IS_BETTER.has(scored[0].metric) ? -1 : 1;
      return scored.reduce((a, b) => (!a || sign * b.mean > sign * a.mean ? b : a), null);
    };

    function options(name, values, first, text = (v) => v) {
      form.elements[name].innerHTML = (first === null ? "" : `<option value="">${esc(first)}</option>`)
        + values.map((v) => `<option value="${esc(v)}">${esc(text(v))}</option>`).join("");
    }
    const all = Object.values(tasks);
    options("source", data.sources.map((s) => s.id), null, (id) => data.sources.find((s) => s.id === id).label);
    options("tier", TIERS.filter((tier) => all.some((t) => t.tier === tier)), "all tiers");
    options("modality", unique(all.map((t) => t.modality)).sort(), "all modalities");
    options("metric", Object.keys(metrics), "each task's primary metric", label);
    options("model", data.models, "all models");
    form.elements.source.closest("label").hidden = data.sources.length < 2;

    function header() {
      const s = source();
      $("source").innerHTML = `<span class="lb-source src-${esc(s.kind)}">${esc(s.badge)}</span>${esc(s.note)}`;
    }

    function ranking() {
      const all = source().composite, [table, buttons] = page("ranking", all);
      const groups = unique(table.flatMap((r) => Object.keys(r.groups)));
      $("ranking").innerHTML = !table.length ? "<p class='soft'>No composite: these results hold no scored task.</p>" :
        `<div class="scroll" tabindex="0" role="region" aria-label="Composite score by model"><table><thead><tr>
        <th scope="col">model</th><th scope="col">composite</th><th scope="col" class="n">95 % interval</th><th scope="col" class="n">P(best)</th><th scope="col" class="n">groups</th>${
          groups.map((g) => `<th scope="col" class="n">${esc(g.replaceAll("_", " "))}</th>`).join("")}</tr></thead><tbody>${
          table.map((r) => `<tr><th scope="row">${esc(r.model)}</th><td><span class="bar" aria-hidden="true"><i style="width:${
            (100 * Math.max(0, r.composite)).toFixed(1)}%"></i></span> ${r.composite.toFixed(3)}</td><td class="n">${r.low === null ? "–" : `${r.low.toFixed(3)} to ${r.high.toFixed(3)}`}</td><td class="n">${r.p_best === null ? "–" : r.p_best.toFixed(2)}</td><td class="n">${r.n}</td>${
            groups.map((g) => `<td class="n">${r.groups[g] === undefined || r.groups[g] === null ? "–" : r.groups[g].toFixed(2)}</td>`).join("")
          }</tr>`).join("")}</tbody></table></div>${buttons}`;
    }

    function submissions() {
      const web = (url, text) => /^https?:/.test(url || "") ? `<a href="${esc(url)}" rel="nofollow">${text}</a>` : "";
      $("submissions").innerHTML = !data.submissions.length ? "" : `<h3>Submissions</h3>
        <p class="soft">What each says of itself. Scores of the same models stand among the others, marked †.</p>${
        data.submissions.map((s) => `<details><summary>${s.labels.map(esc).join(", ")} · ${esc(s.authors.join(", "))} · ${esc(s.added)}</summary>
          <p>${esc(s.description)}</p><dl>${[["Trained on, beyond the folds", s.training_data], ["Chosen by looking at scores", s.tuning],
            ["Features of its own", s.features], ["Licence", s.licence]].filter(([, v]) => v)
            .map(([k, v]) => `<dt>${k}</dt><dd>${esc(v)}</dd>`).join("")}</dl><p>${[web(s.code, "code"), web(s.url, "page")].filter(Boolean).join(" · ")
            || "No code is named, so nobody can make these predictions again."}</p></details>`).join("")}`;
    }

    const BEST = "not excluded from the best of its task by a multiple comparison with the best (95 %)";
    const CHANCE = "not above chance (permutation test, q ≥ 0.05 over the table)";
    const marks = (r) => (r.best ? `<abbr class="mark" title="${BEST}">*</abbr>` : "")
      + (r.above_chance === false ? `<abbr class="mark" title="${CHANCE}">‡</abbr>` : "");
    const interval = (r) => r.low === null || r.low === undefined ? "" : `, 95 % interval ${fixed(r.low, r.metric)} to ${fixed(r.high, r.metric)}`;

    function heatmap(list) {
      const [models, buttons] = page("models", modelsOf(list)), groups = byTask(list);
      const ids = Object.keys(tasks).filter(shown);
      const primary = !form.elements.metric.value;
      $("ramp").innerHTML = primary
        ? `Colour: share of the way from chance <span class="ramp" aria-hidden="true"></span> to perfect. Grey figures are at or below chance. ${list.some((r) => r.best) ? `* ${BEST}. ` : ""}${list.some((r) => r.above_chance === false) ? `‡ ${CHANCE}.` : ""}`
        : `Colour: score from 0 <span class="ramp" aria-hidden="true"></span> to 1.`;
      $("heatmap").innerHTML = `<div class="scroll" tabindex="0" role="region" aria-label="Scores, task by model"><table class="heat">
        <thead><tr><th scope="col">task</th><th scope="col">metric</th><th scope="col" class="n">chance</th>${
          models.map((m) => `<th scope="col">${esc(m)}</th>`).join("")}</tr></thead><tbody>${ids.map((id) => {
          const own = groups.get(id) || [], top = bestOf(own), of = new Map(own.map((r) => [r.model, r]));
          const cells = models.map((m) => {
            const r = of.get(m);
            if (!r || r.mean === null) return `<td class="v" style="--t:0">–</td>`;
            const value = above(r) === null ? r.mean : above(r);
            const t = Math.round(100 * Math.max(0, Math.min(1, value)) ** 0.75);
            const kind = [t > 52 ? "hot" : "", above(r) !== null && above(r) <= 0 ? "low" : "", top === r && (above(r) === null || above(r) > 0) ? "best" : ""];
            return `<td class="v ${kind.join(" ")}" style="--t:${t}" title="${esc(`${id} ${m}: ${fixed(r.mean, r.metric)} ± ${fixed(r.sd, r.metric)}${interval(r)}`)}">${fixed(r.mean, r.metric)}${marks(r)}</td>`;
          }).join("");
          const t = tasks[id];
          return `<tr><th scope="row"><button type="button" class="open" data-task="${esc(id)}">${esc(id)}</button> <span>${esc(t.name)}</span></th>
            <td>${esc(label(metricOf(id)))}</td><td class="n">${own.length && own[0].chance !== null ? fixed(own[0].chance, own[0].metric) : "–"}</td>${
            own.length ? cells : `<td class="missing" colspan="${Math.max(1, models.length)}">no score in these results</td>`}</tr>`;
        }).join("")}</tbody></table></div>${buttons}`;
    }

    function plot(list, id) {
      const longest = Math.max(8, ...list.map((r) => short(r.model).length));
      const left = Math.min(140, 10 + 6.5 * longest), width = 340, right = 12, line = 19;
      const numbers = list.flatMap((r) => [r.mean, r.high, r.chance, r.sd !== null ? r.mean + r.sd : null]).filter((v) => v !== null);
      const most = Math.max(...numbers, 1e-6);
      const steps = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5];
      const step = steps.find((s) => most / s <= 4) || 0.5;
      const top = Math.max(step, Math.min(1, Math.ceil((most - 1e-9) / step) * step));
      const x = (v) => left + ((width - left - right) * Math.max(0, Math.min(top, v))) / top;
      const height = list.length * line + 34, base = list.length * line + 6;
      const ticks = Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, k) => k * step);
      const chance = list.length ? list[0].chance : null;
      const marks = list.map((r, k) => {
        const y = 12 + k * line, c = colour(r.model);
        if (r.mean === null) return `<text x="${left - 6}" y="${y + 4}" text-anchor="end"><title>${esc(r.model)}</title>${esc(short(r.model))}</text><text x="${left + 6}" y="${y + 4}" class="axis">no score</text>`;
        const interval = r.low !== null && r.low !== undefined
          ? `<line x1="${x(r.low)}" x2="${x(r.high)}" y1="${y}" y2="${y}" stroke="${c}" stroke-width="4"/>`
          : r.sd !== null ? `<line x1="${x(r.mean - r.sd)}" x2="${x(r.mean + r.sd)}" y1="${y}" y2="${y}" stroke="${c}" stroke-width="1.5"/>` : "";
        const points = (r.values || []).map((v) => `M${x(v).toFixed(1)} ${y + 6}h0`).join("");  // one element, not one a fold
        const folds = points && `<path d="${points}" stroke="${c}" stroke-width="3.2" stroke-linecap="round" opacity=".75"/>`;
        return `<text x="${left - 6}" y="${y + 4}" text-anchor="end"><title>${esc(r.model)}</title>${esc(short(r.model))}</text>${interval}${folds}<circle cx="${x(r.mean)}" cy="${y}" r="4.2" fill="${c}" stroke="var(--page)"/>`;
      }).join("");
      const top1 = bestOf(list);
      const said = `${id}: ${top1 ? `best ${top1.model} ${fixed(top1.mean, top1.metric)}` : "no score"}${chance !== null ? `, chance ${fixed(chance, list[0].metric)}` : ""}`;
      return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${esc(said)}">${
        ticks.map((v) => `<line x1="${x(v)}" x2="${x(v)}" y1="2" y2="${base}" stroke="var(--line)"/><text class="axis" x="${x(v)}" y="${base + 13}" text-anchor="middle">${+v.toFixed(3)}</text>`).join("")}${
        chance !== null ? `<line x1="${x(chance)}" x2="${x(chance)}" y1="0" y2="${base}" stroke="var(--ink)" stroke-dasharray="4 3" stroke-width="1.4"/>` : ""}${marks}
        <text class="axis" x="${(left + width - right) / 2}" y="${base + 26}" text-anchor="middle">${esc(label(metricOf(id)))}${list.length && list[0].folds ? ` (${list[0].folds} folds)` : ""}</text></svg>`;
    }

    function cards(list) {
      const ids = Object.keys(tasks).filter(shown), models = new Set(page("models", modelsOf(list))[0]);
      const groups = byTask(list.filter((r) => models.has(r.model)));
      $("cards").innerHTML = ids.map((id) => {
        const t = tasks[id], own = groups.get(id) || [], chosen = id === state.task;
        const facts = chosen ? `<p class="soft">${esc(t.rows.toLocaleString("en"))} rows × ${esc(t.features.toLocaleString("en"))} features · ${esc(t.split.toUpperCase())} · ${esc(t.missions.join(", "))} · ${
          Object.entries(t.classes).map(([k, n]) => `${esc(k.replaceAll("_", " "))} ${n.toLocaleString("en")}`).join(", ")}</p>${
          t.notes.map((n) => `<p class="soft">${esc(n)}</p>`).join("")}<p><a href="../book/tasks.html#task-${id.toLowerCase()}">${esc(id)} in the task catalogue</a></p>` : "";
        return `<article class="card${chosen ? " chosen" : ""}" data-card="${esc(id)}" aria-labelledby="lb-${esc(id)}">
          <h4 id="lb-${esc(id)}"><button type="button" class="open" data-task="${esc(id)}" aria-expanded="${chosen}">${esc(id)}</button> ${esc(t.name)}</h4>
          <p><span class="tag">${esc(t.tier)}${t.supplementary ? ", supplementary" : ""}</span><span class="tag">${esc(t.modality)}</span><span class="tag">N = ${t.rows.toLocaleString("en")}</span></p>
          <p class="soft">${esc(t.question)}</p>${facts}${own.length ? plot(own, id) : `<p class="missing">No score in these results. If its table is not available: <code>somb data fetch --tasks ${esc(id)}</code></p>`}</article>`;
      }).join("") || "<p>No task fits these filters.</p>";
    }

    const COLUMNS = [
      ["task", "task", (r) => r.task], ["tier", "tier", (r) => TIERS.indexOf(tasks[r.task].tier)],
      ["modality", "modality", (r) => tasks[r.task].modality], ["metric", "metric", (r) => label(r.metric)],
      ["model", "model", (r) => r.model], ["mean", "score", (r) => r.mean], ["sd", "± SD", (r) => r.sd],
      ["low", "95 % interval", (r) => r.low], ["chance", "chance", (r) => r.chance],
      ["above", "above chance", above], ["folds", "folds", (r) => r.folds],
    ];

    function table(list) {
      const [key, way] = state.sort.split(":");
      const value = (COLUMNS.find(([name]) => name === key) || COLUMNS[0])[2];
      const sign = way === "desc" ? -1 : 1;
      const missing = (v) => v === null || v === undefined;
      const words = new Intl.Collator();  // compares each text once, not in each of the comparisons of a long list
      const rank = new Map(unique(list.map(value).filter((v) => typeof v === "string")).sort(words.compare).map((v, k) => [v, k]));
      const number = (r) => rank.get(value(r)) ?? value(r);
      const sorted = [...list].sort((a, b) => {
        const u = number(a), v = number(b);
        if (missing(u) || missing(v)) return missing(u) - missing(v);  // missing ones last, either way
        return sign * (u - v) || (a.task < b.task ? -1 : a.task > b.task ? 1 : 0);
      });
      $("thead").innerHTML = `<tr>${COLUMNS.map(([name, text]) => {
        const sort = name === key ? (way === "desc" ? "descending" : "ascending") : "none";
        return `<th scope="col"${["mean", "sd", "low", "chance", "above", "folds"].includes(name) ? ' class="n"' : ""} aria-sort="${sort}"><button type="button" data-sort="${name}">${text}</button></th>`;
      }).join("")}</tr>`;
      const [part, buttons] = page("table", sorted);
      $("tbody").innerHTML = part.map((r) => {
        const share = above(r), t = tasks[r.task];
        const lost = [r.failed ? `${r.failed} failed` : "", r.undefined ? `${r.undefined} undefined` : ""].filter(Boolean).join(", ");
        return `<tr><td><button type="button" class="open" data-task="${esc(r.task)}">${esc(r.task)}</button></td><td>${t.tier}</td><td>${esc(t.modality)}</td>
          <td>${esc(label(r.metric))}</td><td>${esc(r.model)}</td><td class="n"><b>${fixed(r.mean, r.metric)}</b>${marks(r)}</td><td class="n">${fixed(r.sd, r.metric)}</td>
          <td class="n">${r.low === null || r.low === undefined ? "–" : `${fixed(r.low, r.metric)} to ${fixed(r.high, r.metric)}`}</td><td class="n">${fixed(r.chance, r.metric)}</td>
          <td class="n">${share === null ? "–" : `${(100 * share).toFixed(0)} %`}</td><td class="n">${r.folds ?? "–"}${lost ? ` (${lost})` : ""}</td></tr>`;
      }).join("");
      $("pages").innerHTML = buttons;
      const n = unique(list.map((r) => r.task)).length;
      $("count").textContent = `${list.length} ${list.length === 1 ? "score" : "scores"} of ${n} ${n === 1 ? "task" : "tasks"}, ${source().protocol} protocol`;
    }

    const short = (model) => model.length > 20 ? `${model.slice(0, 19)}…` : model;

    function render() {
      tasks = data.tasks[source().protocol];
      const list = rows();
      header(); ranking(); heatmap(list); cards(list); table(list);
    }

    // Deep links: whatever differs from the start stands in the address.
    function write() {
      const parts = new URLSearchParams();
      fields.forEach((f) => { if (form.elements[f].value && !(f === "source" && form.elements[f].value === data.sources[0].id)) parts.set(f, form.elements[f].value); });
      if (state.sort !== "task:asc") parts.set("sort", state.sort);
      if (state.task) parts.set("task", state.task);
      const text = parts.toString();
      try { history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search); } catch { /* a notebook's own page */ }
    }
    function read() {
      const parts = new URLSearchParams(location.hash.slice(1));
      if (location.hash.length > 1 && !location.hash.includes("=")) return;  // a heading's anchor
      fields.forEach((f) => {
        const field = form.elements[f], wanted = parts.get(f) || "";
        if (field.tagName !== "SELECT") field.value = wanted;
        else field.value = [...field.options].some((o) => o.value === wanted) ? wanted : field.options[0].value;
      });
      state.sort = COLUMNS.some(([name]) => name === (parts.get("sort") || "").split(":")[0]) ? parts.get("sort") : "task:asc";
      state.task = tasks[parts.get("task")] ? parts.get("task") : "";
    }
    function choose(id) {
      state.task = state.task === id ? "" : id;
      write(); render();
      focusCard(id);
    }
    function focusCard(id) {
      const card = root.querySelector(`[data-card="${id}"]`);
      if (!card) return;
      card.scrollIntoView({ block: "nearest" });
      card.querySelector("button").focus({ preventScroll: true });
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => { state.at = {}; write(); render(); });
    form.addEventListener("reset", () => setTimeout(() => { state.sort = "task:asc"; state.task = ""; state.at = {}; write(); render(); }));
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.task) choose(button.dataset.task);
      if (button.dataset.page) {
        const [name, to] = button.dataset.page.split(":");
        state.at[name] = Number(to);
        const list = rows();
        if (name === "ranking") ranking(); else if (name === "table") table(list); else { heatmap(list); cards(list); }
        root.querySelector(`[data-page^="${name}:"]:not(:disabled)`).focus({ preventScroll: true });
      }
      if (button.dataset.sort) {
        const [key, way] = state.sort.split(":");
        const first = ["mean", "low", "above", "chance"].includes(button.dataset.sort) ? "desc" : "asc";
        state.sort = `${button.dataset.sort}:${key === button.dataset.sort ? (way === "asc" ? "desc" : "asc") : first}`;
        state.at.table = 0;
        write(); table(rows());
        root.querySelector(`[data-sort=${button.dataset.sort}]`).focus();
      }
    });
    addEventListener("hashchange", () => { read(); render(); });
    submissions(); read(); render();
    if (state.task) focusCard(state.task);
  }

  document.querySelectorAll(".somb-lb:not([data-ready])").forEach((root) => { root.dataset.ready = "yes"; board(root); });
})();
