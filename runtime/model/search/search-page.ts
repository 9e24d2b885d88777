import { percent } from '../compare/acceptance';
import { escapeMarkup } from '../escape-markup';
import { formatBytes } from '../quantities';
import { formatMs } from './choose-candidate';
import { renderScatter, type ScatterPoint } from './scatter-plot';
import type { SearchReport, SearchRow } from './search-report';
import { describeSpeed, describeSteps, notesOf } from './search-table';

const WIDTH = 1_080;

/**
 * A page of one file, without scripts, that shows what recipes came to: accuracy against latency and against size, the front marked,
 * what was asked for as lines, and all numbers in a table.
 */
export function renderSearchPage(report: SearchReport): string {
  const { source, dataset, mainMetric, chosen, nearest, constraints } = report;
  const title = `${source.name}: accuracy, latency and size`;
  const shown = report.rows.filter((row): row is Shown => row.numbers !== undefined);
  const { accuracy: best } = shown[0]!.numbers;
  const floor = constraints.maxDrop === undefined ? undefined : best - constraints.maxDrop;
  const points = (x: (row: Shown) => Pick<ScatterPoint, 'x' | 'low' | 'high'>): readonly ScatterPoint[] =>
    shown.map((row) => ({
      ...x(row),
      y: row.numbers.accuracy,
      label: row.name,
      isMarked: row.onFront,
      isChosen: row.name === chosen,
      title: `${row.name}: ${percent(row.numbers.accuracy)}, ${formatMs(row.numbers.speed.p50Ms)}, ${formatBytes(row.numbers.fileBytes)}`,
    }));
  const vertical = { label: mainMetric, format: percent, ...(floor === undefined ? {} : { limit: floor }) };
  const latency = renderScatter(
    points(({ numbers: { speed } }) => ({
      x: speed.p50Ms,
      low: Math.min(...speed.roundMediansMs),
      high: Math.max(...speed.roundMediansMs),
    })),
    { label: 'median of a run', format: formatMs, ...limitOf(constraints.maxLatencyMs) },
    vertical,
  );
  const size = renderScatter(
    points(({ numbers }) => ({ x: numbers.fileBytes })),
    { label: 'size of all files', format: formatBytes, unit: unitOf(shown), ...limitOf(constraints.maxBytes) },
    vertical,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeMarkup(title)}</title>
<style>
:root { color-scheme: light dark; --ink: #1c1f23; --page: #fff; --line: #d9dce0; --quiet: #5b6168; --front: #1f5fa8; --other: #8b8f94; --chosen: #b3450e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --page: #16181b; --line: #383d42; --quiet: #a2a8af; --front: #6fb1f5; --other: #7d838a; --chosen: #ff9a57; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: ${WIDTH}px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } .note { color: var(--quiet); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem; } .table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } tr.chosen td:first-child { color: var(--chosen); font-weight: 600; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); } svg .quiet { fill: var(--quiet); } svg .grid { stroke: var(--line); }
svg .front { fill: var(--front); stroke: var(--front); } svg .other { fill: var(--page); stroke: var(--other); } svg .noise { stroke: var(--other); }
svg .chosen { fill: var(--chosen); stroke: var(--chosen); } svg .limit { stroke: var(--chosen); stroke-dasharray: 6 4; }
</style></head><body>
<h1>${escapeMarkup(title)}</h1>
<p>${shown.length} models on ${dataset.rows} rows of ${escapeMarkup(dataset.name)}; ${escapeMarkup(verdict(report))}</p>
<div class="plots"><figure>${latency}</figure><figure>${size}</figure></div>
<p class="note">Filled: no other model is at least as accurate, as fast and as small. Dashed: what was asked for. Bars: medians of the rounds
in which all models took turns; what lies within them this machine cannot tell apart.${notesOf(report)
    .map((note) => ` ${note[0]!.toUpperCase()}${note.slice(1)}.`)
    .join('')}</p>
<h2>All recipes</h2>
<div class="table"><table><thead><tr><th>recipe</th><th class="n">${escapeMarkup(mainMetric)}</th><th class="n">lost</th><th class="n">median</th><th class="n">99th</th><th>against the source</th><th class="n">size</th><th class="n">smaller by</th><th>steps</th></tr></thead>
<tbody>${report.rows.map((row) => tableRow(row, row.name === (chosen ?? nearest))).join('\n')}</tbody></table></div>
</body></html>
`;
}

type Shown = SearchRow & Required<Pick<SearchRow, 'numbers'>>;

/** Round numbers of KiB or MiB, whichever the largest model is told in. */
function unitOf(rows: readonly Shown[]): number {
  const largest = Math.max(...rows.map(({ numbers }) => numbers.fileBytes));
  return 1_024 ** Math.floor(Math.log(Math.max(1, largest)) / Math.log(1_024));
}

function limitOf(limit: number | undefined): { readonly limit?: number } {
  return limit === undefined ? {} : { limit };
}

/** In one sentence what came of it. */
export function verdict({ chosen, nearest, rows }: SearchReport): string {
  if (chosen !== undefined) return `'${chosen}' was chosen.`;
  const near = rows.find(({ name }) => name === nearest);
  if (near === undefined) return 'nothing was asked for, and so nothing is chosen.';
  return `none of them is what was asked for; the nearest, '${near.name}', ${near.misses.join('; ')}.`;
}

function tableRow(row: SearchRow, isMarked: boolean): string {
  const name = `<td>${escapeMarkup(row.name)}${row.onFront ? ' ●' : ''}</td>`;
  const steps = `<td class="note">${escapeMarkup(describeSteps(row.steps))}</td>`;
  const open = isMarked ? '<tr class="chosen">' : '<tr>';
  if (row.numbers === undefined) {
    return `${open}${name}<td colspan="7" class="note">${escapeMarkup(`${row.state}: ${row.reason ?? ''}`)}</td>${steps}</tr>`;
  }
  const { accuracy, drop, fileBytes, compressionPercent, speed } = row.numbers;
  const cells = [
    percent(accuracy),
    row.state === 'source' ? '' : percent(drop),
    formatMs(speed.p50Ms),
    formatMs(speed.p99Ms),
  ];
  const right = (text: string): string => `<td class="n">${text}</td>`;
  return (
    `${open}${name}${cells.map(right).join('')}<td>${escapeMarkup(describeSpeed(row))}</td>` +
    `${right(formatBytes(fileBytes))}${right(row.state === 'source' ? '' : `${compressionPercent.toFixed(1)} %`)}${steps}</tr>`
  );
}
