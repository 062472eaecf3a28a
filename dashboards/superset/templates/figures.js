/* Superset shows 0 for a figure that nobody knows, "+100%" against it, points as per cent, and 0.00 for a small amount.
   Its answers say which figures are unknown; from them this writes a style per chart, which what Superset draws again
   later keeps to. For days that somebody has chosen it says "2026-01-01 ≤ col < 2026-02-01": here they are put into words. */
(() => {
  const DAY = 86_400_000;
  const styles = document.createElement("style");
  const rules = new Map();
  const request = window.fetch;

  window.fetch = async (...asked) => {
    const answer = await request(...asked);
    if (String(asked[0]?.url ?? asked[0]).includes("/api/v1/chart/data") && typeof asked[1]?.body === "string") {
      say(JSON.parse(asked[1].body), asked[1].headers, answer.clone()).catch(() => {});
    }
    return answer;
  };

  const say = async (query, headers, answer) => {
    const form = query.form_data ?? {};
    if (!["pop_kpi", "big_number_total"].includes(form.viz_type) || !answer.ok) return;
    const [result] = (await answer.json()).result;
    const row = result.data?.[0] ?? {};
    const past = Object.keys(row).find((name) => name.startsWith(`${form.metric}__`));
    const [now, before] = [form.metric, past].map((name) => row[name] ?? null).map(number);
    const amount = (value) => small(form, value, result.detected_currency);
    if (form.viz_type === "big_number_total") {
      rules.set(form.slice_id, figure(form, now, amount(now)));
      return write();
    }
    const span = stretch(result, await firstDay(query, headers));
    rules.set(form.slice_id, change(form, now, before, span, amount));
    write();
  };

  const write = () => {
    styles.textContent = [...rules.values()].join("\n");
    if (!styles.isConnected) document.head.append(styles);
  };

  const number = (value) => (value === null ? null : Number(value));

  /* An amount of money that two digits after the point would make nothing of: with two that say something. */
  const small = (form, value, currency) =>
    form.currency_format && value && Math.abs(value) < 0.01
      ? `${symbol(currency)} ${value.toLocaleString("en", { maximumSignificantDigits: 2 })}`.trim()
      : null;
  const symbol = (currency) =>
    currency
      ? new Intl.NumberFormat("en-US", { style: "currency", currency }).formatToParts(0)[0].value
      : "";

  /* The first day of the tenant's data, in milliseconds; null where it has none, undefined where nobody says so. Asked
     once a tenant. */
  const firstDays = new Map();
  const firstDay = async (query, headers) => {
    const filters = query.queries[0].filters.filter(({ col }) => col === "tenant");
    const tenant = JSON.stringify(filters);
    if (!firstDays.has(tenant)) firstDays.set(tenant, askFirstDay(filters, headers).catch(() => undefined));
    return firstDays.get(tenant);
  };
  const askFirstDay = async (filters, headers) => {
    const table = "(columns:!(id),filters:!((col:table_name,opr:eq,value:tenants_overview)))";
    const [{ id }] = (await (await request(`/api/v1/dataset/?q=${table}`, { headers })).json()).result;
    const first = { datasource: { id, type: "table" }, queries: [{ columns: ["first_event_at"], filters }] };
    const answer = await request("/api/v1/chart/data", { method: "POST", headers, body: JSON.stringify(first) });
    const at = (await answer.json()).result[0].data[0]?.first_event_at ?? null;
    return at === null ? null : Math.floor(at / DAY) * DAY;
  };

  /* Of the days before those that are shown: how many there are, and how many of them are in the data. */
  const stretch = ({ from_dttm: from, to_dttm: to }, first) => {
    if (!from || !to) return null;
    const days = Math.round((to - from) / DAY);
    const before = first === undefined ? days : first === null ? 0 : Math.round((from - first) / DAY);
    const known = Math.min(days, Math.max(0, before));
    return { days, known, first };
  };
  const inWords = (days) => (days === 1 ? "day" : `${days} days`);

  const instead = (part, words) =>
    `${part} > * { display: none; } ${part}::after { content: ${JSON.stringify(words)}; font-size: 13px; }`;
  const large = (part, words, colour) =>
    `${part} { font-size: 0 !important; } ${part}::after { content: ${JSON.stringify(words)}; font-size: 32px;` +
    ` color: ${colour}; }`;
  const inPlace = (part, now, words) => {
    if (now === null) return large(part, "N/A", "#6b7480");
    return words === null ? "" : large(part, words, "inherit");
  };

  /* A figure without a past: Superset writes "No data" and a sentence about queries where nobody knows it. */
  const figure = (form, now, words) => {
    const tile = `[data-test-chart-id="${form.slice_id}"] .big_number_total`;
    const said = inPlace(`${tile} .header-line`, now, words);
    return now === null ? `${said} ${tile} .subtitle-line { display: none; }` : said;
  };

  /* Its parts: the figure with an arrow, the figure of the days before, and how it has changed. */
  const change = (form, now, before, span, amount) => {
    const tile = `[data-test-chart-id="${form.slice_id}"] .pop_kpi > div > div`;
    const [figure, past, changed] = [
      `${tile} > div:first-child`,
      `${tile} > div:last-child > div:first-child`,
      `${tile} > div:last-child > div:last-child`,
    ];
    const found = [inPlace(figure, now, amount(now))];
    if (now === null) found.push(`${figure} > * { display: none; }`);
    const isCompared = now !== null && before && span !== null && span.known === span.days;
    if (isCompared) found.push(instead(changed, by(form, now, before)));
    else found.push(`${figure} > span { display: none; } ${changed} { display: none !important; }`);
    if (span === null) found.push(instead(past, "All days: there are none before"));
    else if (span.first === null) found.push(instead(past, "There is no data yet"));
    else if (!span.known) found.push(instead(past, `The data begins on ${date(span.first)}`));
    else {
      const days = `in the ${inWords(span.known)}${span.known < span.days ? " of data" : ""} before`;
      if (before === null) found.push(instead(past, `Nothing ${days}`));
      else if (amount(before) !== null) found.push(instead(past, `${amount(before)} ${days}`));
      else found.push(`${past}::after { content: ${JSON.stringify(`\u00a0${days}`)}; }`);
    }
    return found.join("\n");
  };

  const date = (day) =>
    new Date(day).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

  const by = (form, now, before) => {
    const isRate = form.column_config?.Delta?.visible !== false;
    if (!isRate && before > 0 && now >= 10 * before) return `${Math.round(now / before)} times that`;
    const difference = isRate ? 100 * (now - before) : (100 * (now - before)) / Math.abs(before);
    const sign = difference > 0 ? "+" : difference < 0 ? "−" : "±";
    return `${sign}${Math.abs(difference).toFixed(isRate ? 1 : 0)} ${isRate ? "points" : "%"}`;
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
})();
