// Asks once a second, and shows what comes.

const INTERVAL = 1000;
const PATIENCE = 10_000;

const model = new Model();
let chosen = location.hash.slice(1);
let tables = null;

const picture = new Picture(byId("canvas"), choose);
const portTable = new Table(byId("ports"), [
  { title: "port" }, { title: "", class: "spare" }, { title: "address", class: "spare" }, { title: "" },
  { title: "rx", class: "number", hint: "from the port into the switch" },
  { title: "tx", class: "number", hint: "from the switch to the port" },
  { title: "rx frames", class: "number spare" }, { title: "tx frames", class: "number spare" },
  { title: "last minute", class: "spark spare", hint: "rx and tx together, each row to its own scale" },
  { title: "drops", class: "number" }, { title: "dropped", class: "number spare", hint: "in all" },
], "No port yet: martlet network connect NETWORK SANDBOX");
const dropTable = new Table(byId("drops"), [
  { title: "reason" }, { title: "now", class: "number" }, { title: "in all", class: "number" }, { title: "", class: "bar" },
], "none");
const macTable = new Table(byId("macs"), [
  { title: "MAC address" }, { title: "port" }, { title: "age", class: "number" },
], "empty");
const sessionTable = new Table(byId("sessions"), [
  { title: "" }, { title: "inside" }, { title: "remote" }, { title: "as the outside sees it", class: "spare" },
  { title: "state" }, { title: "expires in", class: "number spare" },
], "none");

function choose(id) {
  chosen = id;
  history.replaceState(null, "", `#${id}`);
  tables = null;
  show();
  askForTables().then(show, () => {});
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

async function askForTables() {
  const asked = chosen;
  if (!model.network(asked)) return;
  const answer = await ask(`tables.json?network=${asked}`);
  if (asked === chosen) tables = answer;
}

async function refresh() {
  try {
    model.take(await ask("state.json"));
    if (!model.network(chosen)) chosen = model.state.networks[0]?.id ?? "";
    if (tables?.network !== chosen) tables = null;
    // A network that goes meanwhile has no tables; the next state is without it.
    await askForTables().catch(() => { tables = null; });
    showStatus("live", "live");
    show();
  } catch (error) {
    // What fetch throws where nobody answers is a TypeError, in words of the browser's own.
    showStatus("lost", error instanceof TypeError ? "no answer from martletd" : error.message);
  }
}

function showStatus(state, text) {
  const status = byId("status");
  set(status, "data-state", state);
  say(status.lastElementChild, text);
  document.body.classList.toggle("lost", state === "lost");
}

function show() {
  const { state } = model;
  if (!state) return;
  say(byId("version"), state.version);
  showTotals(state);
  showNetworks(state);
  picture.update(state, chosen, sessionsByAddress());
  const network = model.network(chosen);
  showNetwork(network);
  portTable.show(network ? portRows(network) : [], network?.ports_more);
  dropTable.show(network ? dropRows(network) : []);
  const labels = new Map((network?.ports ?? []).map((port) => [port.name, port.label]));
  macTable.show(tables ? macRows(tables.mac_table, labels) : [], tables?.mac_table_more);
  sessionTable.show(tables ? sessionRows(tables.sessions) : [], tables?.sessions_more);
}

/** Of the chosen network. Sessions that the answer had no room for are not drawn. */
function sessionsByAddress() {
  const counts = new Map();
  for (const { inside } of tables?.sessions ?? []) {
    const address = inside.startsWith("[") ? inside.slice(1, inside.indexOf("]")) : inside.split(":")[0];
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  return counts;
}

/** [[term, text]] as a list of terms. */
function list(element, facts) {
  facts.forEach(([term, text], index) => {
    const row = element.children[index] ?? element.appendChild(make("div", {}, make("dt"), make("dd")));
    say(row.firstChild, term);
    say(row.lastChild, text);
  });
  while (element.children.length > facts.length) element.lastChild.remove();
}

function showTotals(state) {
  const endpoints = state.networks.reduce((count, network) => count + endpointCount(network), 0);
  const rates = state.networks.filter((network) => network.track).map((network) => bitRate(network.track, "rx"));
  const sessions = Object.values(state.sessions.by_protocol).reduce((count, each) => count + each, 0);
  list(byId("totals"), [
    ["networks", whole(state.networks.length + state.networks_more)], ["endpoints", whole(endpoints)],
    ["switched", bits(rates.reduce(sum, 0))], ["sessions", whole(sessions)],
  ]);
}

function showNetworks(state) {
  const nav = byId("networks");
  state.networks.forEach((network, index) => {
    const button = nav.children[index] ?? nav.appendChild(makeButton());
    button.value = network.id;
    set(button, "aria-pressed", network.id === chosen);
    say(button.firstChild, network.name);
    say(button.lastChild, network.track ? bits(bitRate(network.track, "rx")) : network.driver);
  });
  while (nav.children.length > state.networks.length) nav.lastChild.remove();
}

function makeButton() {
  const button = make("button", { type: "button" }, make("b"), make("span"));
  button.addEventListener("click", () => choose(button.value));
  return button;
}

function showNetwork(network) {
  const section = byId("network");
  say(section.querySelector("h2"), network ? network.name : "Network");
  section.hidden = !network;
  if (!network) return;
  const { counts, overlay, track } = network;
  const facts = [["driver", `${network.driver}, ${network.scope}`], ["subnets", network.subnets.join(", ") || "none"]];
  if (network.policy) facts.push(["policy", network.policy]);
  facts.push(["gateway", network.gateway_mode], ["MTU", whole(network.mtu)]);
  if (counts) {
    facts.push(
      ["endpoints", `${whole(counts.endpoints_up)} up, ${whole(counts.endpoints_down)} down`],
      ["MAC table", `${whole(counts.mac_entries)} of ${whole(counts.mac_limit)}`],
      ["flooded", `${perSecond(track.rate("flooded_copies"))} copies`],
      ["routed", `in ${perSecond(track.rate("routed_in"))}, out ${perSecond(track.rate("routed_out"))}`]);
  }
  if (overlay) {
    facts.push(["overlay", `VNI ${overlay.vni} from ${overlay.local}, ${counted(overlay.peers, "peer")}, ${overlay.up ? "up" : "down"}`]);
  }
  list(section.querySelector(".facts"), facts);
}

async function run() {
  for (;;) {
    const begun = performance.now();
    // Nobody looks at a page in the background.
    if (!document.hidden) await refresh();
    await new Promise((resume) => { setTimeout(resume, Math.max(INTERVAL - (performance.now() - begun), 100)); });
  }
}

run();
