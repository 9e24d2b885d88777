import { escapeMarkup } from '../escape-markup';

export interface ScatterPoint {
  readonly x: number;
  readonly y: number;
  /** Ends of a bar that shows how sure x is. @default - none */
  readonly low?: number;
  readonly high?: number;
  readonly label: string;
  readonly title: string;
  readonly isMarked: boolean;
  readonly isChosen: boolean;
}

export interface ScatterAxis {
  readonly label: string;
  readonly format: (value: number) => string;
  /** A dashed line; one far from all points is left out, and said beside the axis. @default - none */
  readonly limit?: number;
  /** What round numbers are multiples of. @default 1 */
  readonly unit?: number;
}

const WIDTH = 520;
const HEIGHT = 400;
const EDGE = { left: 74, right: 24, top: 18, bottom: 46 };
const FONT = 12;
/** Of one character, on average. */
const CHARACTER = 6.4;

/**
 * Points as SVG: x by its logarithm, since what costs half as much is as far away as what costs twice as much; y as it is. Colours
 * are the page's, by the classes `front`, `other`, `chosen`, `noise`, `limit`, `grid` and `quiet`.
 */
export function renderScatter(points: readonly ScatterPoint[], horizontal: ScatterAxis, vertical: ScatterAxis): string {
  const ends = points.flatMap(({ x, low = x, high = x }) => [low, high]);
  const isNear = horizontal.limit !== undefined && isNearTo(horizontal.limit, ends);
  const across = logScale(
    isNear ? [...ends, horizontal.limit] : ends,
    EDGE.left,
    WIDTH - EDGE.right,
    horizontal.unit ?? 1,
  );
  const asked =
    horizontal.limit === undefined || isNear ? '' : ` (asked for: at most ${horizontal.format(horizontal.limit)})`;
  const up = linearScale(points.map(({ y }) => y).concat(vertical.limit ?? []), HEIGHT - EDGE.bottom, EDGE.top);
  const parts = [
    ...up.ticks.map(
      (tick) =>
        `<line class="grid" x1="${EDGE.left}" x2="${WIDTH - EDGE.right}" y1="${at(up.of(tick))}" y2="${at(up.of(tick))}"/>` +
        `<text class="quiet" x="${EDGE.left - 8}" y="${at(up.of(tick) + 4)}" text-anchor="end">${escapeMarkup(vertical.format(tick))}</text>`,
    ),
    ...across.ticks.map(
      (tick) =>
        `<line class="grid" x1="${at(across.of(tick))}" x2="${at(across.of(tick))}" y1="${EDGE.top}" y2="${HEIGHT - EDGE.bottom}"/>` +
        `<text class="quiet" x="${at(across.of(tick))}" y="${HEIGHT - EDGE.bottom + 18}" text-anchor="middle">${escapeMarkup(horizontal.format(tick))}</text>`,
    ),
    `<text class="quiet" x="${WIDTH - EDGE.right}" y="${HEIGHT - 8}" text-anchor="end">${escapeMarkup(`${horizontal.label}${asked}`)} →</text>`,
    `<text class="quiet" x="4" y="12">↑ ${escapeMarkup(vertical.label)}</text>`,
    ...limit(isNear ? horizontal.limit : undefined, (value) => [
      across.of(value),
      EDGE.top,
      across.of(value),
      HEIGHT - EDGE.bottom,
    ]),
    ...limit(vertical.limit, (value) => [EDGE.left, up.of(value), WIDTH - EDGE.right, up.of(value)]),
    ...drawPoints(points, across, up),
  ];
  const said = `${vertical.label} against ${horizontal.label}`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeMarkup(said)}" font-size="${FONT}">${parts.join('')}</svg>`;
}

/** Whether a limit can be drawn without pressing the points together: at most four times beyond them. */
function isNearTo(limit: number, values: readonly number[]): boolean {
  return limit >= Math.min(...values) / 4 && limit <= Math.max(...values) * 4;
}

function limit(
  value: number | undefined,
  place: (value: number) => readonly [number, number, number, number],
): readonly string[] {
  if (value === undefined) return [];
  const [x1, y1, x2, y2] = place(value).map(at) as [string, string, string, string];
  return [`<line class="limit" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`];
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

function drawPoints(points: readonly ScatterPoint[], across: Scale, up: Scale): readonly string[] {
  const dots = points.map(({ x, y }) => around(across.of(x), up.of(y), 6));
  const taken: Box[] = [...dots];
  // The front first: its names lie where they belong, and others give way.
  const order = [...points.keys()].sort((a, b) => Number(points[b]!.isMarked) - Number(points[a]!.isMarked));
  const drawn = order.map((i) => {
    const { x, y, low, high, label, title, isMarked, isChosen } = points[i]!;
    const [cx, cy] = [across.of(x), up.of(y)];
    const kind = isChosen ? 'chosen' : isMarked ? 'front' : 'other';
    const bar =
      low === undefined || high === undefined
        ? ''
        : `<line class="noise" x1="${at(across.of(low))}" x2="${at(across.of(high))}" y1="${at(cy)}" y2="${at(cy)}"/>`;
    const place = placeLabel(cx, cy, label.length * CHARACTER, taken);
    taken.push(place);
    return (
      `<g><title>${escapeMarkup(title)}</title>${bar}` +
      `<circle class="${kind}" cx="${at(cx)}" cy="${at(cy)}" r="5" stroke-width="2"/>` +
      leader(cx, cy, place) +
      `<text x="${at(place.left)}" y="${at(place.bottom - 3)}">${escapeMarkup(label)}</text></g>`
    );
  });
  // What is in front is drawn last.
  return drawn.reverse();
}

/** A name that had to move away is tied to its point. */
function leader(x: number, y: number, { left, right, top, bottom }: Box): string {
  const [nearX, nearY] = [Math.min(Math.max(x, left), right), Math.min(Math.max(y, top), bottom)];
  if (Math.hypot(nearX - x, nearY - y) < 14) return '';
  return `<line class="noise" x1="${at(x)}" y1="${at(y)}" x2="${at(nearX)}" y2="${at(nearY)}" stroke-width="0.7"/>`;
}

/** The free place nearest to a point: right of it, left, above, below, then further away; the first one where all are taken. */
function placeLabel(x: number, y: number, width: number, taken: readonly Box[]): Box {
  const height = FONT + 4;
  const places: Box[] = [];
  for (let step = 0; step < 14; step++) {
    for (const dy of step === 0 ? [0] : [-step * 12, step * 12]) {
      for (const left of [x + 9, x - 9 - width, x - width / 2]) {
        if (step === 0 && left === x - width / 2) continue;
        const top = y + dy - height / 2;
        places.push({ left, right: left + width, top, bottom: top + height });
      }
    }
  }
  const isInside = ({ left, right, top, bottom }: Box): boolean =>
    left >= EDGE.left && right <= WIDTH && top >= EDGE.top - 6 && bottom <= HEIGHT - EDGE.bottom;
  const isFree = (box: Box): boolean =>
    taken.every(
      (other) => box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom,
    );
  return places.find((box) => isInside(box) && isFree(box)) ?? places[0]!;
}

function around(x: number, y: number, radius: number): Box {
  return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
}

interface Scale {
  of(value: number): number;
  readonly ticks: readonly number[];
}

function linearScale(values: readonly number[], from: number, to: number): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least) * 0.08 || Math.abs(most) * 0.01 || 1;
  const [low, high] = [least - room, most + room];
  const step = niceStep((high - low) / 5);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  return { of: (value) => from + ((value - low) / (high - low)) * (to - from), ticks };
}

function logScale(values: readonly number[], from: number, to: number, unit: number): Scale {
  const [least, most] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  const room = Math.max((most - least) * 0.08, 0.1);
  const [low, high] = [least - room, most + room];
  const ticks = ticksBetween(Math.exp(low) / unit, Math.exp(high) / unit).map((tick) => tick * unit);
  return { of: (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from), ticks };
}

/** 1, 2 and 5 of each power of ten, fewer where that is many; for a narrow range steps of equal size. */
function ticksBetween(low: number, high: number): readonly number[] {
  const decades = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, i) => 10 ** (Math.floor(Math.log10(low)) + i),
  );
  const inRange = (ticks: readonly number[]): readonly number[] => ticks.filter((tick) => tick >= low && tick <= high);
  const fine = inRange(decades.flatMap((power) => [power, 2 * power, 5 * power]));
  if (fine.length > 6) return inRange(decades);
  if (fine.length >= 3) return fine;
  const step = niceStep((high - low) / 4);
  const even: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) even.push(i * step);
  return even;
}

/** 1, 2 or 5 times a power of ten, at least so large. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least * 0.999)!;
}

function at(value: number): string {
  return value.toFixed(1);
}
