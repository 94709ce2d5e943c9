// Tables whose rows stay as long as what they show is there.

const ROWS_MAX = 256;

class Table {
  /** `columns`: [{title, hint, class}]. */
  constructor(holder, columns, nothing) {
    this.columns = columns;
    this.nothing = nothing;
    this.rows = new Map();
    this.body = make("tbody");
    const heads = columns.map((column) => {
      const head = make("th", { class: column.class ?? "", scope: "col" }, column.title);
      if (column.hint) head.title = column.hint;
      return head;
    });
    this.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.note = make("p", { class: "note" });
    holder.replaceChildren(this.table, this.note);
  }

  /**
   * `rows`: [{key, cells: [{text, class, hint} or {samples} or {share}]}], in their order; `more`: how many there are beyond them.
   */
  show(rows, more = 0) {
    const shown = rows.slice(0, ROWS_MAX);
    const before = this.rows;
    this.rows = new Map();
    const elements = shown.map((row) => {
      const element = before.get(row.key) ?? make("tr", {}, ...this.columns.map(() => make("td")));
      this.rows.set(row.key, element);
      row.cells.forEach((cell, index) => this.fill(element.cells[index], cell, this.columns[index]));
      return element;
    });
    const isInOrder = elements.length === this.body.children.length
      && elements.every((element, index) => element === this.body.children[index]);
    if (!isInOrder) this.body.replaceChildren(...elements);
    const beyond = rows.length - shown.length + more;
    this.table.hidden = rows.length === 0;
    say(this.note, rows.length === 0 ? this.nothing : beyond > 0 ? `and ${whole(beyond)} more` : "");
    this.note.hidden = this.note.textContent === "";
  }

  fill(element, cell, column) {
    set(element, "class", [column.class, cell.class].filter(Boolean).join(" "));
    if (cell.samples) return fillSparkline(element, cell.samples);
    if (cell.share !== undefined) return fillBar(element, cell);
    say(element, cell.text);
    set(element, "title", cell.hint ?? cell.text);
  }
}

function fillSparkline(element, samples) {
  if (!element.firstChild) {
    element.append(draw("svg", { viewBox: `0 0 ${SAMPLES_MAX - 1} 20`, preserveAspectRatio: "none" }, draw("path")));
  }
  const most = Math.max(...samples, 1);
  const start = SAMPLES_MAX - samples.length;
  const points = samples.map((sample, index) => `${start + index} ${(19 - (18 * sample) / most).toFixed(1)}`);
  const path = element.firstChild.firstChild;
  set(path, "d", points.length > 1 ? `M ${start} 20 L ${points.join(" L ")} L ${SAMPLES_MAX - 1} 20 Z` : "M 0 0");
}

function fillBar(element, { share, bar }) {
  if (!element.firstChild) element.append(make("i"));
  set(element.firstChild, "class", bar);
  element.firstChild.style.width = `${Math.round(100 * share)}%`;
}

function portRows(network) {
  const ports = [...network.ports].sort((one, other) => other.track.recent - one.track.recent);
  return ports.map((port) => {
    const { track } = port;
    const drops = dropRates(track);
    const dropped = Object.values(port.counters.drops).reduce((all, count) => all + count, 0);
    const trouble = port.state === "up" ? "" : port.state;
    return {
      key: `${port.kind} ${port.name}`,
      cells: [
        { text: port.label },
        { text: port.kind === "endpoint" ? port.interface : port.kind, class: "muted" },
        { text: port.addresses[0] ?? "", hint: port.addresses.join(" "), class: "muted" },
        { text: trouble, hint: port.detail ?? trouble, class: "bad" },
        { text: bits(bitRate(track, "rx")) },
        { text: bits(bitRate(track, "tx")) },
        { text: perSecond(track.rate("rx_frames")) },
        { text: perSecond(track.rate("tx_frames")) },
        { samples: track.samples },
        {
          text: track.rates === null ? "–" : perSecond(drops.other + drops.usual),
          class: drops.other > 0 ? "bad" : drops.usual > 0 ? "usual" : "",
        },
        { text: whole(dropped) },
      ],
    };
  });
}

function dropRows(network) {
  const drops = Object.entries(network.counts?.total.drops ?? {}).sort((one, other) => other[1] - one[1]);
  const most = drops.length > 0 ? drops[0][1] : 1;
  return drops.map(([reason, count]) => {
    const rate = network.track.rate(`drop ${reason}`);
    const usual = USUAL_REASONS.has(reason) ? "usual" : "";
    return {
      key: reason,
      cells: [
        { text: reason, hint: usual ? `${reason}: a healthy network has some` : reason },
        { text: perSecond(rate), class: rate > 0 ? usual || "bad" : "muted" },
        { text: whole(count) },
        { share: count / most, bar: usual },
      ],
    };
  });
}

function macRows(entries, labels) {
  return entries.map((entry) => {
    const { kind, endpoint, address, interface: name } = entry.port;
    const own = kind === "gateway" ? kind : address ?? name ?? kind;
    const port = kind === "endpoint" ? labels.get(endpoint) ?? endpoint.slice(0, 12) : own;
    return {
      key: entry.mac,
      cells: [
        { text: entry.mac }, { text: port, hint: `${kind} ${name ?? ""}` },
        { text: entry.static ? "static" : `${whole(entry.age_s)} s`, class: "muted" },
      ],
    };
  });
}

function sessionRows(sessions) {
  return sessions.map((session, index) => ({
    key: index,
    cells: [
      { text: session.protocol }, { text: session.inside }, { text: session.remote },
      { text: session.outside === session.inside ? "" : session.outside, class: "muted" },
      { text: session.state }, { text: `${whole(session.expires_s)} s`, class: "muted" },
    ],
  }));
}
