/* Superset shows 0 for a figure that nobody knows, "+100%" against it, and points as per cent. Its answers say which
   figures are unknown; from them this writes a style per chart, which what Superset draws again later keeps to.
   For days that somebody has chosen it says "2026-01-01 ≤ col < 2026-02-01": here they are put into words. */
(() => {
  const styles = document.createElement("style");
  const rules = new Map();
  const request = window.fetch;

  window.fetch = async (...asked) => {
    const answer = await request(...asked);
    if (String(asked[0]?.url ?? asked[0]).includes("/api/v1/chart/data") && typeof asked[1]?.body === "string") {
      say(JSON.parse(asked[1].body), answer.clone()).catch(() => {});
    }
    return answer;
  };

  const say = async (query, answer) => {
    const form = query.form_data ?? {};
    if (!["pop_kpi", "big_number_total"].includes(form.viz_type) || !answer.ok) return;
    const { result } = await answer.json();
    const row = result[0]?.data?.[0] ?? {};
    if (form.viz_type === "big_number_total") {
      rules.set(form.slice_id, (row[form.metric] ?? null) === null ? unknown(form) : "");
      return write();
    }
    const past = Object.keys(row).find((name) => name.startsWith(`${form.metric}__`));
    const [now, before] = [form.metric, past].map((name) => row[name] ?? null).map(number);
    rules.set(form.slice_id, style(form, now, before, days(result[0])));
    write();
  };

  const write = () => {
    styles.textContent = [...rules.values()].join("\n");
    if (!styles.isConnected) document.head.append(styles);
  };

  const notKnown = (figure) => `${figure}::after { content: "N/A"; font-size: 32px; color: #6b7480; }`;

  /* A figure without a past: Superset writes "No data" and a sentence about queries. */
  const unknown = (form) => {
    const tile = `[data-test-chart-id="${form.slice_id}"] .big_number_total`;
    const figure = `${tile} .header-line`;
    return `${figure} { font-size: 0 !important; } ${notKnown(figure)} ${tile} .subtitle-line { display: none; }`;
  };

  const number = (value) => (value === null ? null : Number(value));
  const days = ({ from_dttm: from, to_dttm: to }) => {
    if (!from || !to) return null;
    const span = Math.round((to - from) / 86_400_000);
    return span === 1 ? "day" : `${span} days`;
  };

  /* Its parts: the figure with an arrow, the figure of the days before, and how it has changed. */
  const style = (form, now, before, span) => {
    const tile = `[data-test-chart-id="${form.slice_id}"] .pop_kpi > div > div`;
    const [figure, past, change] = [
      `${tile} > div:first-child`,
      `${tile} > div:last-child > div:first-child`,
      `${tile} > div:last-child > div:last-child`,
    ];
    const instead = (part, words) =>
      `${part} > * { display: none; } ${part}::after { content: ${JSON.stringify(words)}; font-size: 13px; }`;
    const isCompared = now !== null && before !== null && span !== null;
    const found = [];
    if (now === null) {
      found.push(`${figure} { font-size: 0 !important; } ${figure} > * { display: none; }`);
      found.push(notKnown(figure));
    }
    if (!isCompared || !before) found.push(`${figure} > span { display: none; } ${change} { display: none !important; }`);
    if (span === null) found.push(instead(past, "All days: there are none before"));
    else if (before === null) found.push(instead(past, `Not known of the ${span} before`));
    else found.push(`${past}::after { content: ${JSON.stringify(`\u00a0in the ${span} before`)}; }`);
    if (isCompared && before) found.push(instead(change, changed(form, now, before)));
    return found.join("\n");
  };

  /* Where somebody has chosen days. */
  const sayDates = (node) => {
    const [, from, to] = node.nodeValue.match(/^(?:(\S+) ≤ )?col(?: < (\S+))?$/) ?? [];
    if (from && to) node.nodeValue = `${from} to before ${to}`;
    else if (from || to) node.nodeValue = from ? `from ${from}` : `before ${to}`;
  };
  const look = (root) => {
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    if (root.nodeType === Node.TEXT_NODE) sayDates(root);
    while (texts.nextNode()) sayDates(texts.currentNode);
  };
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) (type === "characterData" ? [target] : addedNodes).forEach(look);
  }).observe(document, { subtree: true, childList: true, characterData: true });

  const changed = (form, now, before) => {
    const isRate = form.column_config?.Delta?.visible !== false;
    const by = isRate ? 100 * (now - before) : (100 * (now - before)) / Math.abs(before);
    const sign = by > 0 ? "+" : by < 0 ? "−" : "±";
    const size = Math.abs(by);
    if (isRate) return `${sign}${size.toFixed(1)} points`;
    return size > 999 ? `${sign}>999 %` : `${sign}${size.toFixed(0)} %`;
  };
})();
