// Where things are in the picture: networks in a grid, each with its ports on ellipses round its hub.

const UPLINK_ROOM = 64;
const LABEL_ROOM = { across: 58, above: 16, below: 42 };
const BARE_ROOM = { across: 16, above: 16, below: 16 };
/** Where there is less round a hub, no port is named. */
const NAMED_ROOM = { across: 110, down: 90 };
/** Where hubs are smaller than this, their ports have no place. */
const SMALL_HUB = 14;
/** From one port to the next on an ellipse. */
const LABELLED_STEP = 78;
const BARE_STEP = 17;
/** Ellipses, as shares of the outermost. */
const RINGS = [1, 0.82, 0.64, 0.48];
const HUB_RADIUS = 20;
/** A hub grows with its ports, so that their lines do not all meet in one point. */
const HUB_GROWTH = 3.4;

/** {networks: [{x, y, hub, labelled, isRoomy, ports: [{x, y}], hidden, span}], uplink: {x, y}} for a state and a size in pixels. */
function layOut(state, width, height) {
  const top = state.uplink ? UPLINK_ROOM : 0;
  const grid = chooseGrid(state.networks.length, width, height - top);
  const cell = { width: width / grid.columns, height: (height - top) / grid.rows };
  const networks = state.networks.map((network, index) => {
    const row = Math.floor(index / grid.columns);
    const inRow = Math.min(grid.columns, state.networks.length - row * grid.columns);
    // The last row stands in the middle.
    const shift = (width - inRow * cell.width) / 2;
    const left = shift + (index % grid.columns) * cell.width;
    return layOutNetwork(network, left, top + row * cell.height, cell);
  });
  return { networks, uplink: { x: width / 2, y: 30 } };
}

/** Columns and rows whose cells are as little wider than high as can be. */
function chooseGrid(count, width, height) {
  let best = { columns: 1, rows: 1, size: 0 };
  for (let columns = 1; columns <= Math.max(count, 1); columns += 1) {
    const rows = Math.ceil(Math.max(count, 1) / columns);
    const size = Math.min(width / columns / 1.35, height / rows);
    if (size > best.size) best = { columns, rows, size };
  }
  return best;
}

function layOutNetwork(network, left, top, cell) {
  const count = network.ports.length;
  const outer = (room) => ({
    across: cell.width / 2 - room.across,
    down: (cell.height - room.above - room.below) / 2,
  });
  const roomy = outer(LABEL_ROOM);
  const labelled = roomy.across > 60 && roomy.down > 50 && count <= ellipseLength(roomy) / LABELLED_STEP;
  const room = labelled ? LABEL_ROOM : BARE_ROOM;
  const radii = outer(room);
  const hub = Math.max(Math.min(Math.max(HUB_RADIUS, HUB_GROWTH * Math.sqrt(count)), radii.down / 2.5), 6);
  const x = left + cell.width / 2;
  const y = top + room.above + radii.down;
  const ports = labelled ? onEllipse(x, y, radii, count) : onRings(x, y, radii, hub, count);
  const isRoomy = radii.across >= NAMED_ROOM.across && radii.down >= NAMED_ROOM.down;
  return { x, y, hub, labelled, isRoomy, ports, hidden: count - ports.length, span: cell.width };
}

/** Ramanujan's first approximation. */
function ellipseLength({ across, down }) {
  if (across <= 0 || down <= 0) return 0;
  return Math.PI * (3 * (across + down) - Math.sqrt((3 * across + down) * (across + 3 * down)));
}

function onRings(x, y, radii, hub, count) {
  const points = [];
  for (const share of RINGS) {
    const ring = { across: radii.across * share, down: radii.down * share };
    if (points.length === count || ring.down < hub + 10) break;
    const room = Math.max(Math.floor(ellipseLength(ring) / BARE_STEP), 1);
    points.push(...onEllipse(x, y, ring, Math.min(room, count - points.length)));
  }
  return points;
}

/** `count` points at equal distances along the ellipse, from the top clockwise. */
function onEllipse(x, y, { across, down }, count) {
  const steps = 1440;
  const lengths = [0];
  const point = (step) => {
    const angle = (step / steps) * 2 * Math.PI - Math.PI / 2;
    return { x: x + across * Math.cos(angle), y: y + down * Math.sin(angle) };
  };
  for (let step = 1; step <= steps; step += 1) {
    const [one, other] = [point(step - 1), point(step)];
    lengths.push(lengths[step - 1] + Math.hypot(other.x - one.x, other.y - one.y));
  }
  const points = [];
  let step = 0;
  for (let index = 0; index < count; index += 1) {
    // Half a step on: the top is the uplink's.
    const wanted = ((index + 0.5) / count) * lengths[steps];
    while (step < steps && lengths[step] < wanted) step += 1;
    points.push(point(step));
  }
  return points;
}
