// The picture: drawn anew when something comes or goes, else only lines, colours and numbers change.

/** Lines move where there are so few ports that it costs the browser little. */
const MOVING_PORTS_MAX = 64;
const NODE_RADIUS = 9;
const CROWDED_RADIUS = 5;
/** Of a crowded network, so many of the busiest ports are named. */
const CROWDED_LABELS = 6;
/** More than so many networks make the picture higher. */
const NETWORKS_FEW = 12;
const LABEL_LETTERS = 13;
/** Of a letter, about. */
const LETTER_WIDTH = 6.6;

/** 0 for nothing, and a step more for each power of ten above a kilobit a second. */
function lineWidth(rate, isLabelled) {
  if (rate === null || rate <= 0) return 0;
  const steps = Math.min(Math.max(Math.log10(rate / 1000), 0), 8);
  return (isLabelled ? 1.2 + steps : 0.8 + steps * 0.45);
}

class Picture {
  constructor(holder, choose) {
    this.holder = holder;
    this.choose = choose;
    this.shape = null;
    this.networks = new Map();
    new ResizeObserver(() => this.refresh()).observe(holder);
  }

  /** `sessions`: of the chosen network, by endpoint's address. */
  update(state, chosen, sessions) {
    Object.assign(this, { state, chosen, sessions });
    this.refresh();
  }

  refresh() {
    const { state } = this;
    if (!state) return;
    this.holder.classList.toggle("high", state.networks.length > NETWORKS_FEW);
    const { clientWidth: width, clientHeight: height } = this.holder;
    if (width === 0 || height === 0) return;
    const shape = JSON.stringify([
      width, height, state.uplink?.interface,
      state.networks.map((network) => [
        network.id, network.name, network.routed, network.ports.map((port) => [port.kind, port.name, port.label]),
      ]),
    ]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.redraw(width, height);
    }
    for (const network of state.networks) this.updateNetwork(network);
    this.updateUplink();
  }

  redraw(width, height) {
    const { state } = this;
    const places = layOut(state, width, height);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Networks and their ports" });
    const ports = state.networks.reduce((count, network) => count + network.ports.length, 0);
    if (ports <= MOVING_PORTS_MAX) svg.setAttribute("class", "moving");
    this.networks.clear();
    this.flows = draw("g");
    this.uplink = state.uplink ? this.drawUplink(places.uplink) : null;
    const [lines, nodes] = [draw("g"), draw("g")];
    state.networks.forEach((network, index) => {
      const place = places.networks[index];
      const drawn = { place, ports: [], ways: null };
      if (state.uplink && network.routed) drawn.ways = this.drawLink(lines, places.uplink, place);
      network.ports.forEach((port, at) => {
        const point = place.ports[at];
        drawn.ports.push(point ? this.drawPort(lines, nodes, port, point, place, width) : null);
      });
      this.drawHub(nodes, network, drawn);
      this.networks.set(network.id, drawn);
    });
    svg.append(lines, this.flows, nodes);
    if (this.uplink) svg.append(this.uplink.group);
    if (state.networks.length === 0) svg.append(this.drawNothing(width, height));
    this.holder.replaceChildren(svg);
  }

  drawNothing(width, height) {
    return draw("text", { class: "empty", x: width / 2, y: height / 2 }, "No network yet: martlet network create NAME");
  }

  /** A thin line that is always there, and one for each direction beside it. */
  drawLink(group, from, to) {
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
    const across = { x: -(to.y - from.y) / length, y: (to.x - from.x) / length };
    const along = (start, end, offset) => ({
      x1: start.x + across.x * offset, y1: start.y + across.y * offset,
      x2: end.x + across.x * offset, y2: end.y + across.y * offset,
    });
    const rail = draw("line", { class: "rail", ...along(from, to, 0) });
    const rx = draw("line", { class: "rx-line", "stroke-width": 0 });
    const tx = draw("line", { class: "tx-line", "stroke-width": 0 });
    group.append(rail, rx, tx);
    return {
      show(rxWidth, txWidth) {
        // Side by side, however wide they are.
        for (const [line, wide, offset] of [[rx, rxWidth, rxWidth / 2 + 0.5], [tx, txWidth, -txWidth / 2 - 0.5]]) {
          const ends = line === rx ? along(from, to, offset) : along(to, from, offset);
          for (const [key, value] of Object.entries(ends)) set(line, key, value.toFixed(1));
          set(line, "stroke-width", wide.toFixed(2));
        }
      },
    };
  }

  drawPort(lines, nodes, port, point, place, width) {
    const link = this.drawLink(lines, point, place);
    const radius = place.labelled ? NODE_RADIUS : CROWDED_RADIUS;
    const node = portShape(port.kind, point, radius);
    const title = draw("title");
    node.append(title);
    const text = shortened(port.kind === "gateway" ? "gateway" : port.label, LABEL_LETTERS);
    const half = (text.length * LETTER_WIDTH) / 2 + 4;
    const x = Math.max(Math.min(point.x, width - half), half);
    const label = draw("text", { class: "halo", x, y: point.y + radius + 13 }, text);
    const rate = draw("text", { class: "halo small", x: point.x, y: point.y + radius + 25 });
    nodes.append(node, label, rate);
    return { link, node, title, label, rate, point };
  }

  drawHub(nodes, network, drawn) {
    const { x, y, hub, hidden, span } = drawn.place;
    const circle = draw("circle", { class: "hub", cx: x, cy: y, r: hub, tabindex: 0, role: "button" });
    drawn.title = draw("title");
    circle.append(drawn.title);
    circle.addEventListener("click", () => this.choose(network.id));
    circle.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") this.choose(network.id);
    });
    drawn.group = draw("g", {}, circle);
    if (hub >= SMALL_HUB) drawn.group.append(draw("text", { class: "inner", x, y }, whole(endpointCount(network))));
    const letters = Math.max(Math.min(Math.floor(span / 9), 24), 3);
    const name = draw("text", { class: "halo", x, y: y + hub + 14, "font-weight": 600 }, shortened(network.name, letters));
    drawn.rate = draw("text", { class: "halo small", x, y: y + hub + 27 });
    drawn.group.append(name, drawn.rate);
    const more = hidden + network.ports_more;
    if (more > 0 && hub >= SMALL_HUB) {
      drawn.group.append(draw("text", { class: "halo small", x, y: y + hub + 40 }, `and ${whole(more)} more`));
    }
    nodes.append(drawn.group);
  }

  drawUplink({ x, y }) {
    const box = draw("rect", { class: "uplink", x: x - 100, y: y - 19, width: 200, height: 38, rx: 5 });
    const title = draw("title");
    box.append(title);
    const name = draw("text", { x, y: y - 3, "font-weight": 600 });
    const rate = draw("text", { class: "small", x, y: y + 12 });
    return { group: draw("g", {}, box, name, rate), box, title, name, rate, place: { x, y } };
  }

  updateNetwork(network) {
    const drawn = this.networks.get(network.id);
    const { track } = network;
    const isChosen = network.id === this.chosen;
    set(drawn.group, "class", isChosen ? "chosen" : "");
    const rx = bitRate(track, "rx");
    say(drawn.rate, track ? bits(rx) : network.driver);
    say(drawn.title, `${network.name}\n${network.subnets.join("\n")}`);
    if (drawn.ways) {
      // The router counts frames; a frame of 1000 bytes stands for each.
      const [inward, outward] = [track?.rate("routed_in") ?? null, track?.rate("routed_out") ?? null];
      const most = drawn.place.hub >= SMALL_HUB ? Infinity : 1;
      const wide = (rate) => Math.min(lineWidth(rate === null ? null : rate * 8000, drawn.place.labelled), most);
      drawn.ways.show(wide(inward), wide(outward));
    }
    const busiest = drawn.place.labelled ? null : new Set(
      network.ports.filter((port) => port.track.recent > 0).sort((one, other) => other.track.recent - one.track.recent)
        .slice(0, drawn.place.isRoomy ? CROWDED_LABELS : 0));
    network.ports.forEach((port, index) => {
      if (drawn.ports[index]) this.updatePort(port, drawn.ports[index], busiest);
    });
  }

  updatePort(port, drawn, busiest) {
    const [rx, tx] = [bitRate(port.track, "rx"), bitRate(port.track, "tx")];
    drawn.link.show(lineWidth(rx, busiest === null), lineWidth(tx, busiest === null));
    const isNamed = busiest === null || busiest.has(port);
    say(drawn.rate, busiest === null && sum(rx, tx) > 0 ? bits(rx + tx) : "");
    set(drawn.label, "display", isNamed ? "inline" : "none");
    const drops = dropRates(port.track);
    const marks = ["node"];
    if (port.state !== "up") marks.push("down");
    if (drops.other > 0) marks.push("drops");
    else if (drops.usual > 0) marks.push("usual");
    set(drawn.node, "class", marks.join(" "));
    const lines = [port.label, `${port.kind} ${port.interface}`, ...port.addresses];
    if (port.mac) lines.push(port.mac);
    if (port.state !== "up" || port.detail) lines.push([port.state, port.detail].filter(Boolean).join(": "));
    lines.push(`rx ${bits(rx)}, tx ${bits(tx)}`);
    if (drops.other + drops.usual > 0) lines.push(`drops ${perSecond(drops.other + drops.usual)}`);
    say(drawn.title, lines.join("\n"));
  }

  updateUplink() {
    const { uplink } = this.state;
    if (!this.uplink) return;
    const { box, title, name, rate } = this.uplink;
    const [rx, tx] = [bitRate(uplink.track, "rx"), bitRate(uplink.track, "tx")];
    say(name, `outside by ${uplink.interface}`);
    say(rate, uplink.up ? `↓ ${bits(rx)}  ↑ ${bits(tx)}` : "down");
    const drops = dropRates(uplink.track);
    set(box, "class", `uplink node${uplink.up ? "" : " down"}${drops.other > 0 ? " drops" : ""}`);
    say(title, [...uplink.addresses, uplink.detail ?? ""].join("\n"));
    this.updateFlows();
  }

  /** From each endpoint of the chosen network to the uplink, where it has sessions. */
  updateFlows() {
    const drawn = this.networks.get(this.chosen);
    const network = this.state.networks.find((candidate) => candidate.id === this.chosen);
    const curves = [];
    for (const [index, port] of (drawn ? network.ports : []).entries()) {
      const count = port.addresses.reduce((count, address) => count + (this.sessions.get(address) ?? 0), 0);
      if (count === 0 || !drawn.ports[index]) continue;
      const { point } = drawn.ports[index];
      const end = this.uplink.place;
      // Away from the hub, so that it is no link's line.
      const bend = { x: (point.x + end.x) / 2 + (point.x - drawn.place.x) * 0.35, y: (point.y + end.y) / 2 };
      curves.push(draw(
        "path",
        {
          class: "flow-line", "stroke-width": (1.8 + Math.log10(count)).toFixed(1),
          d: `M ${point.x} ${point.y} Q ${bend.x} ${bend.y} ${end.x} ${end.y + 19}`,
        },
        draw("title", {}, `${port.label}: ${counted(count, "session")}`)));
    }
    this.flows.replaceChildren(...curves);
  }
}

function endpointCount(network) {
  const { counts } = network;
  return counts ? counts.endpoints_up + counts.endpoints_down : network.ports.length + network.ports_more;
}

/** Endpoints are round, interfaces of the host square, other hosts hexagons. */
function portShape(kind, { x, y }, radius) {
  if (kind === "endpoint") return draw("circle", { class: "node", cx: x, cy: y, r: radius });
  if (kind === "vtep") {
    const corners = [0, 1, 2, 3, 4, 5].map((corner) => {
      const angle = (corner * Math.PI) / 3;
      const size = radius * 1.15;
      return `${(x + size * Math.cos(angle)).toFixed(1)},${(y + size * Math.sin(angle)).toFixed(1)}`;
    });
    return draw("polygon", { class: "node", points: corners.join(" ") });
  }
  return draw("rect", {
    class: "node", x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius, rx: kind === "gateway" ? 0 : 3,
  });
}
