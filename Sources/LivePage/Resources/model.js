// Rates of what is counted. A state holds counts; two of them, one behind the other, make rates.

const SAMPLES_MAX = 60;
/** Samples whose mean decides which ports come first, so that rows do not jump. */
const RANKED_SAMPLES = 10;

/** Drops that a healthy network has: of frames that are no bridge's to forward, or that nobody else is there for. */
const USUAL_REASONS = new Set(["link_local_control", "no_other_port"]);

/** What is remembered of one counted thing. */
class Track {
  constructor() {
    this.before = null;
    this.rates = null;
    this.samples = [];
  }

  /** Takes in counts by name. Where a count went back the daemon was started anew, and there are no rates this once. */
  take(counts, seconds) {
    const { before } = this;
    this.before = counts;
    const began = before === null || seconds <= 0 || Object.keys(before).some((name) => (counts[name] ?? 0) < before[name]);
    if (began) {
      this.rates = null;
      return;
    }
    this.rates = {};
    for (const name of Object.keys(counts)) this.rates[name] = (counts[name] - (before[name] ?? 0)) / seconds;
  }

  rate(name) {
    return this.rates === null ? null : this.rates[name] ?? 0;
  }

  remember(sample) {
    this.samples.push(sample);
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
  }

  get recent() {
    const last = this.samples.slice(-RANKED_SAMPLES);
    return last.reduce((sum, sample) => sum + sample, 0) / Math.max(last.length, 1);
  }
}

class Model {
  constructor() {
    this.tracks = new Map();
    this.time = null;
    this.state = null;
  }

  /** False: it is the state that was taken before. */
  take(state) {
    if (this.time === state.time) return false;
    const seconds = this.time === null ? 0 : state.time - this.time;
    this.time = state.time;
    this.state = state;
    const seen = new Set();
    const follow = (owner, key, counters, further = {}) => {
      const track = this.tracks.get(key) ?? new Track();
      this.tracks.set(key, track);
      seen.add(key);
      track.take(flat(counters, further), seconds);
      if (track.rates !== null) track.remember(8 * (track.rate("rx_bytes") + track.rate("tx_bytes")));
      owner.track = track;
    };
    for (const network of state.networks) {
      for (const port of network.ports) follow(port, JSON.stringify([network.id, port.kind, port.name]), port.counters);
      const { counts } = network;
      if (counts) {
        const { flooded_copies, routed_in, routed_out } = counts;
        follow(network, JSON.stringify([network.id]), counts.total, { flooded_copies, routed_in, routed_out });
      }
    }
    if (state.uplink) follow(state.uplink, "uplink", state.uplink.counters);
    for (const carrier of state.carriers) follow(carrier, `carrier ${carrier.local} ${carrier.port}`, carrier.counters);
    for (const key of this.tracks.keys()) if (!seen.has(key)) this.tracks.delete(key);
    return true;
  }

  network(id) {
    return this.state?.networks.find((network) => network.id === id);
  }
}

/** Counters and further counts in one level: a drop is `drop REASON`. */
function flat(counters, further) {
  const { drops, ...counts } = counters;
  for (const [reason, count] of Object.entries(drops)) counts[`drop ${reason}`] = count;
  return { ...counts, ...further };
}

function bitRate(track, direction) {
  const rate = track?.rate(`${direction}_bytes`) ?? null;
  return rate === null ? null : 8 * rate;
}

function sum(one, other) {
  return one === null || other === null ? null : one + other;
}

/** Rates of drops, those that are usual apart. */
function dropRates(track) {
  const rates = { usual: 0, other: 0 };
  for (const [name, rate] of Object.entries(track?.rates ?? {})) {
    if (!name.startsWith("drop ")) continue;
    rates[USUAL_REASONS.has(name.slice(5)) ? "usual" : "other"] += rate;
  }
  return rates;
}
