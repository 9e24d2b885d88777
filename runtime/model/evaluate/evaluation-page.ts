import { escapeMarkup } from '../escape-markup';
import type { EvaluationReport } from './evaluation-report';
import type { Calibration } from './metrics/calibration';
import type { ConfusionCell } from './metrics/classification';
import {
  classTable,
  mistakeTable,
  modelTable,
  showMetric,
  showPercent,
  speedTable,
  type TableRows,
} from './render-evaluation';

/** More classes make a picture that nobody can read; then the most frequent mistakes stand alone. */
const MAX_DRAWN_CLASSES = 60;
const MAX_LISTED = 50;

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff;margin:2rem auto;max-width:70rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #d8dee4;text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
.passed{color:#116329}.failed{color:#a40e26;font-weight:600}dt{font-weight:600}dd{margin:0 0 .4rem 1rem}.wide{overflow-x:auto}
code{overflow-wrap:anywhere}svg{max-width:100%;height:auto}text{font:11px system-ui,sans-serif;fill:#1b1f24}`;

/** An evaluation as a page that needs nothing else: no script, no font, no picture from anywhere. */
export function evaluationPage(report: EvaluationReport): string {
  const { dataset, preprocessing, task, models, classNames, gates, evaluatedAt, tools, formulas } = report;
  const [{ name, result }] = models as [EvaluationReport['models'][number]];
  const sections = [
    `<h1>${escapeMarkup(name)} on ${escapeMarkup(dataset.name)}</h1>`,
    `<p>${escapeMarkup(task)}, ${dataset.rows} rows, ${escapeMarkup(evaluatedAt)}; data SHA-256 <code>${dataset.sha256}</code>; ${
      preprocessing === undefined ? '' : `preprocessing SHA-256 <code>${preprocessing.sha256}</code>; `
    }${escapeMarkup(
      Object.entries(tools)
        .map(([tool, version]) => `${tool} ${version}`)
        .join(', '),
    )}</p>`,
    table(modelTable(report)),
    section(
      'Metrics',
      table([
        ['metric', 'value'],
        ...Object.entries(result.metrics).map(([key, value]) => [key, showMetric(key, value)]),
      ]),
    ),
    gates.length === 0 ? '' : section('Gates', gateList(report)),
    result.confusion === undefined ? '' : section('Confusion', confusionPicture(result.confusion, classNames)),
    result.calibration === undefined ? '' : section('Calibration', reliabilityPicture(result.calibration)),
    section('Most frequent mistakes', table(mistakeTable(report))),
    section('Classes, worst first', table(classTable(report))),
    section('Speed', table(speedTable(report))),
    section(
      'How it is computed',
      `<dl>${Object.entries(formulas)
        .map(([term, formula]) => `<dt>${escapeMarkup(term)}</dt><dd>${escapeMarkup(formula)}</dd>`)
        .join('')}</dl>`,
    ),
  ];
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">',
    `<title>${escapeMarkup(name)}: evaluation</title><style>${STYLE}</style></head><body>`,
    ...sections.filter((each) => each !== ''),
    '</body></html>',
    '',
  ].join('\n');
}

function section(title: string, body: string): string {
  return body === '' ? '' : `<h2>${title}</h2>\n${body}`;
}

function table(rows: TableRows | undefined): string {
  if (rows === undefined) return '';
  const [heading, ...body] = rows;
  const line = (cells: readonly string[], tag: 'th' | 'td'): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeMarkup(cell)}</${tag}>`).join('')}</tr>`;
  const shown = body.slice(0, MAX_LISTED).map((cells) => line(cells, 'td'));
  const rest = body.length > MAX_LISTED ? `<p>and ${body.length - MAX_LISTED} more</p>` : '';
  return `<div class="wide"><table>${line(heading!, 'th')}${shown.join('')}</table></div>${rest}`;
}

function gateList({ gates }: EvaluationReport): string {
  const items = gates.map(({ metric, bound, limit, value, passed }) => {
    const sign = bound === 'min' ? '≥' : '≤';
    const verdict = passed ? '<span class="passed">passed</span>' : '<span class="failed">failed</span>';
    return `<li>${escapeMarkup(metric)} ${sign} ${limit}: ${value} ${verdict}</li>`;
  });
  return `<ul>${items.join('')}</ul>`;
}

/** Rows of a label across, each cell as dark as its share of them. */
function confusionPicture(cells: readonly ConfusionCell[], names: readonly string[] | undefined): string {
  const indexes = new Set(cells.flatMap(({ label, predicted }) => [label, predicted]));
  const classes = [...indexes].filter((each) => each >= 0).sort((a, b) => a - b);
  if (classes.length > MAX_DRAWN_CLASSES) return `<p>${classes.length} classes are too many to draw.</p>`;
  const side = Math.max(12, Math.min(36, Math.floor(640 / classes.length)));
  const nameOf = (index: number): string => names?.[index] ?? String(index);
  const margin = 12 + 6.5 * Math.min(20, Math.max(...classes.map((each) => nameOf(each).length)));
  const support = new Map(
    classes.map((each) => [each, cells.reduce((sum, { label, rows }) => sum + (label === each ? rows : 0), 0)]),
  );
  const place = new Map(classes.map((each, i) => [each, i]));
  const squares = cells
    .filter(({ predicted }) => predicted >= 0)
    .map(({ label, predicted, rows }) => {
      const share = rows / support.get(label)!;
      const [x, y] = [margin + place.get(predicted)! * side, margin + place.get(label)! * side];
      const colour = label === predicted ? '#0969da' : '#cf222e';
      const title = `${nameOf(label)} said to be ${nameOf(predicted)}: ${rows} rows, ${showPercent(share)}`;
      const text =
        side >= 24
          ? `<text x="${x + side / 2}" y="${y + side / 2 + 4}" text-anchor="middle"${share > 0.5 ? ' style="fill:#fff"' : ''}>${rows}</text>`
          : '';
      return `<g><title>${escapeMarkup(title)}</title><rect x="${x}" y="${y}" width="${side}" height="${side}" fill="${colour}" fill-opacity="${(0.08 + 0.92 * share).toFixed(3)}"/>${text}</g>`;
    });
  const labels = classes.flatMap((each, i) => {
    const shown = escapeMarkup(nameOf(each).slice(0, 20));
    const at = margin + i * side + side / 2;
    return [
      `<text x="${margin - 5}" y="${at + 4}" text-anchor="end">${shown}</text>`,
      `<text transform="translate(${at + 4},${margin - 5}) rotate(-90)">${shown}</text>`,
    ];
  });
  const size = margin + classes.length * side + 10;
  return `<p>Rows are what it is, columns what it was said to be.</p>\n<svg viewBox="0 0 ${size} ${size}" width="${size}" height="${size}" role="img" aria-label="confusion matrix">${labels.join('')}${squares.join('')}<rect x="${margin}" y="${margin}" width="${classes.length * side}" height="${classes.length * side}" fill="none" stroke="#8c959f"/></svg>`;
}

/** How often the model is right where it is so sure; on the diagonal it is as good as it says. */
function reliabilityPicture({ bins, expectedError, maxError }: Calibration): string {
  const [side, margin] = [320, 40];
  const most = Math.max(...bins.map(({ rows }) => rows));
  const bars = bins
    .filter(({ rows }) => rows > 0)
    .map(({ from, to, rows, accuracy, confidence }) => {
      const [x, width] = [margin + from * side, (to - from) * side];
      const title = `confidence ${showPercent(from)} to ${showPercent(to)}: ${rows} rows, right ${showPercent(accuracy)}, sure ${showPercent(confidence)}`;
      return `<g><title>${title}</title><rect x="${x.toFixed(1)}" y="${(margin + (1 - accuracy) * side).toFixed(1)}" width="${(width - 1).toFixed(1)}" height="${(accuracy * side).toFixed(1)}" fill="#0969da" fill-opacity="${(0.25 + (0.75 * rows) / most).toFixed(2)}"/><line x1="${x.toFixed(1)}" x2="${(x + width - 1).toFixed(1)}" y1="${(margin + (1 - confidence) * side).toFixed(1)}" y2="${(margin + (1 - confidence) * side).toFixed(1)}" stroke="#cf222e" stroke-width="2"/></g>`;
    });
  const size = side + margin + 12;
  return `<p>Expected calibration error ${showPercent(expectedError)}, at most ${showPercent(maxError)}. Bars: share that is right; lines: how sure it says it is; paler bars have fewer rows.</p>
<svg viewBox="0 0 ${size} ${size + 30}" width="${size}" height="${size + 30}" role="img" aria-label="reliability diagram"><line x1="${margin}" y1="${margin + side}" x2="${margin + side}" y2="${margin}" stroke="#8c959f" stroke-dasharray="4 3"/>${bars.join('')}<rect x="${margin}" y="${margin}" width="${side}" height="${side}" fill="none" stroke="#8c959f"/><text x="${margin}" y="${margin + side + 16}">0</text><text x="${margin + side}" y="${margin + side + 16}" text-anchor="end">1</text><text x="${margin + side / 2}" y="${margin + side + 16}" text-anchor="middle">confidence</text><text x="${margin - 6}" y="${margin + 8}" text-anchor="end">1</text><text transform="translate(${margin - 10},${margin + side / 2}) rotate(-90)" text-anchor="middle">share that is right</text></svg>`;
}
